"""What Grafana would find wrong with a provisioning file: a data source, or where dashboards are.

https://grafana.com/docs/grafana/latest/administration/provisioning/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Provisioning = dict[str, Any]

_KNOWN: dict[str, dict[str, type]] = {
    "datasources": {
        "name": str,
        "uid": str,
        "type": str,
        "access": str,
        "url": str,
        "isDefault": bool,
        "jsonData": dict,
    },
    "providers": {
        "name": str,
        "folder": str,
        "type": str,
        "allowUiUpdates": bool,
        "options": dict,
    },
}
_REQUIRED = {"datasources": {"name", "type", "access", "url"}, "providers": {"name", "options"}}
_PROMETHEUS_OPTIONS: dict[str, type] = {"timeInterval": str, "httpMethod": str}


def faults(document: Provisioning) -> list[str]:
    """Return what is wrong with a file."""
    return list(_faults(document))


def _faults(document: Provisioning) -> Iterator[str]:
    kinds = set(document) - {"apiVersion"}
    if len(kinds) != 1 or not kinds <= set(_KNOWN):
        yield f"a file should have one of {', '.join(_KNOWN)}; it has {', '.join(kinds)}"
        return
    (kind,) = kinds
    for entry in document[kind]:
        yield from _of_keys(entry, _KNOWN[kind])
        yield from (f"{key} is missing" for key in sorted(_REQUIRED[kind] - set(entry)))
        if kind == "datasources":
            yield from _of_keys(entry.get("jsonData", {}), _PROMETHEUS_OPTIONS)
        elif not str(entry.get("options", {}).get("path")).startswith("/"):
            yield "the path of a provider should be absolute"


def _of_keys(entry: dict[str, Any], known: dict[str, type]) -> Iterator[str]:
    for key, value in entry.items():
        if key not in known:
            yield f"{key} is not known"
        elif not isinstance(value, known[key]):
            yield f"{key} should be of type {known[key].__name__}"
