"""Endpoints: the operation of an API that a path belongs to, from a closed list, or ``other``.

A known prefix is removed from a path, and the rest is matched as a whole, never its end alone:
``/v1/threads/:id/messages`` is not ``/v1/messages``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from tachikoma_metrics.backends.api_paths import API_PATHS
from tachikoma_metrics.catalogue.labels import OTHER

_PLACEHOLDER = ":id"

_PREFIXES = (
    "",
    "/v1",
    "/openai/v1",
    "/openai/deployments/:id",  # Azure; the client's base path may contain the first part.
    "/openai",
    "/deployments/:id",
    "/api/v1",
    "/inference/v1",
    "/anthropic/v1",
    "/v1beta/openai",
    "/compatible-mode/v1",
)
"""Where providers and gateways serve the API, for clients without a base path."""


_END = "/"
"""The key of a template's name in the tree: no part of a path contains a slash."""


class PathTemplates:
    """A closed list of path templates; a part that starts with a colon matches any value."""

    def __init__(self, templates: Iterable[tuple[str, str]]) -> None:
        self._tree: dict[str, Any] = {}
        for template, name in templates:
            self._add(template, name)

    def find(self, path: str) -> str | None:
        """Return the name of the template that matches the whole path; None without a match."""
        return _find(self._tree, path.split("/")[1:]) if path.startswith("/") else None

    def _add(self, template: str, name: str) -> None:
        node = self._tree
        for part in template.split("/")[1:]:
            node = node.setdefault(_PLACEHOLDER if part.startswith(":") else part, {})
        node.setdefault(_END, name)


def _find(node: dict[str, Any], parts: list[str]) -> str | None:
    if not parts:
        return node.get(_END)
    part, *others = parts
    # An empty part, as after a trailing slash, is no id.
    for key in (part, _PLACEHOLDER) if part else ("",):
        if key in node and (found := _find(node[key], others)) is not None:
            return found
    return None


@cache
def _api_templates() -> PathTemplates:
    # Built on first use: most processes call no LLM API.
    return PathTemplates(
        (prefix + template, f"/v1{template}") for prefix in _PREFIXES for template in API_PATHS
    )


class Endpoints:
    """The names of one upstream API's operations.

    ``base_path`` is the path of the client's base URL, unless ``name`` gets another one.
    ``templates`` are further paths of the API, such as ``/items/:id``, which are their own names.
    Raises ValueError for a template that does not start with a slash.
    """

    def __init__(self, base_path: str = "", templates: Iterable[str] = ()) -> None:
        own = list(templates)
        for template in own:
            if not template.startswith("/"):
                raise ValueError(f"An endpoint should start with a slash; got {template!r}.")
        self._base_path = base_path.rstrip("/")
        self._own = PathTemplates((template, template) for template in own)

    def name(self, path: str, base_path: str | None = None) -> str:
        """Return the template of a path, ignoring its query; otherwise ``other``."""
        path = path.partition("?")[0]
        base = self._base_path if base_path is None else base_path.rstrip("/")
        return self._own.find(path) or _api_templates().find(_below(base, path)) or OTHER


def _below(base_path: str, path: str) -> str:
    base = f"{base_path}/"
    return "/" + path.removeprefix(base) if path.startswith(base) else path
