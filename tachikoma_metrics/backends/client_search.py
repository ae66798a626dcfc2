"""The HTTP clients that an object of an SDK holds, directly or in other objects."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from tachikoma_metrics.backends.base_paths import base_path
from tachikoma_metrics.interruptions import pass_on

_MAX_DEPTH = 5

_CLIENT_ATTRIBUTES = ("_client", "client", "_async_client", "async_client")
"""Attributes that may be properties, which make the client when they are read."""

_SYNC_OR_ASYNC = re.compile("sync|^_?aclient")
"""Matches attributes beside which the object holds the client for the other kind of code."""


class ClientSearch:
    """Find the HTTP clients in an object.

    ``clients`` pairs each client with the path of the base URL of the object that holds it.
    ``unsupported`` describes the attributes that hold a sync or async client of an unknown type.
    """

    def __init__(self) -> None:
        self.clients: list[tuple[Any, str]] = []
        self.unsupported: list[str] = []
        # Holds the objects as well: an id is unique only while its object is alive.
        self._visited: dict[int, tuple[bool, Any]] = {}

    def visit(self, candidate: Any, path: str = "", depth: int = 0) -> bool:
        """Search ``candidate``; return whether it is or holds an HTTP client."""
        if depth > _MAX_DEPTH or isinstance(candidate, (type, ModuleType)):
            return False
        if id(candidate) not in self._visited:
            self._visited[id(candidate)] = False, candidate
            is_client = self._visit(candidate, path or base_path(candidate), depth)
            self._visited[id(candidate)] = is_client, candidate
        return self._visited[id(candidate)][0]

    def _visit(self, candidate: Any, path: str, depth: int) -> bool:
        if is_session(candidate) or _is_transport(getattr(candidate, "_transport", None)):
            self.clients.append((candidate, path))
            return True
        attributes = _client_attributes(candidate)
        results = {name: self.visit(a, path, depth + 1) for name, a in attributes.items()}
        if any(results.values()):
            self.unsupported += [
                f"{name}, a {type(attributes[name]).__qualname__}"
                for name, is_client in results.items()
                if not is_client and _SYNC_OR_ASYNC.search(name)
            ]
        return any(results.values())


def _client_attributes(holder: Any) -> dict[str, Any]:
    own = [name for name in getattr(holder, "__dict__", ()) if str(name).endswith("client")]
    names = dict.fromkeys((*_CLIENT_ATTRIBUTES, *own))
    values = {name: _attribute(holder, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _attribute(holder: Any, name: str) -> Any:
    try:
        return getattr(holder, name, None)
    except Exception as error:
        pass_on(error)
        # A client that cannot be created sends no requests.
        return None


def is_session(candidate: Any) -> bool:
    """Return whether ``candidate`` is a ``requests.Session`` or has its interface."""
    adapters = getattr(candidate, "adapters", None)
    return isinstance(adapters, Mapping) and all(hasattr(a, "send") for a in adapters.values())


def _is_transport(candidate: Any) -> bool:
    names = ("handle_request", "handle_async_request")
    return any(callable(getattr(candidate, name, None)) for name in names)
