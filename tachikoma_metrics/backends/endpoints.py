"""Which operation of an API a path asks for: one of a closed list, else ``other``.

A known prefix is taken off, and what is left is matched as a whole: never its end alone, for
``/v1/threads/:id/messages`` is not ``/v1/messages``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from tachikoma_metrics.backends.api_paths import API_PATHS
from tachikoma_metrics.catalogue.labels import OTHER

_ID = ":id"

_PREFIXES = (
    "",
    "/v1",
    "/openai/v1",
    "/openai/deployments/:id",  # Azure's, whose base path may have the first part of it.
    "/openai",
    "/deployments/:id",
    "/api/v1",
    "/inference/v1",
    "/anthropic/v1",
    "/v1beta/openai",
    "/compatible-mode/v1",
)
"""Under which providers and gateways have the operations, where the client does not say."""


_NAME = "/"
"""Stands for the end of a template: no part has a slash in it."""


class Vocabulary:
    """A closed list of templates, whose parts that start with a colon stand for anything."""

    def __init__(self, templates: Iterable[tuple[str, str]]) -> None:
        self._tree: dict[str, Any] = {}
        for template, name in templates:
            self._add(template, name)

    def find(self, path: str) -> str | None:
        """Return the name of the template that the whole path matches; None without one."""
        return _find(self._tree, path.split("/")[1:]) if path.startswith("/") else None

    def _add(self, template: str, name: str) -> None:
        node = self._tree
        for part in template.split("/")[1:]:
            node = node.setdefault(_ID if part.startswith(":") else part, {})
        node.setdefault(_NAME, name)


def _find(node: dict[str, Any], parts: list[str]) -> str | None:
    if not parts:
        return node.get(_NAME)
    part, *others = parts
    # An empty part, as after a last slash, is no id.
    for key in (part, _ID) if part else ("",):
        if key in node and (found := _find(node[key], others)) is not None:
            return found
    return None


@cache
def _known() -> Vocabulary:
    # Made when it is needed: most processes call no backend.
    return Vocabulary(
        (prefix + template, f"/v1{template}") for prefix in _PREFIXES for template in API_PATHS
    )


class Endpoints:
    """Name the operations of one backend.

    ``base_path`` is where the client has them unless it says otherwise when it sends a request,
    ``templates`` are paths that the backend has
    beside those of OpenAI and Anthropic, such as ``/items/:id``, named as they are.
    Raises ValueError for a template that does not start with a slash.
    """

    def __init__(self, base_path: str = "", templates: Iterable[str] = ()) -> None:
        own = list(templates)
        for template in own:
            if not template.startswith("/"):
                raise ValueError(f"An endpoint should start with a slash; got {template!r}.")
        self._base_path = base_path.rstrip("/")
        self._own = Vocabulary((template, template) for template in own)

    def name(self, path: str, base_path: str | None = None) -> str:
        """Return the template of a path, without its query; else ``other``."""
        path = path.partition("?")[0]
        base = self._base_path if base_path is None else base_path.rstrip("/")
        return self._own.find(path) or _known().find(_below(base, path)) or OTHER


def _below(base_path: str, path: str) -> str:
    base = f"{base_path}/"
    return "/" + path.removeprefix(base) if path.startswith(base) else path
