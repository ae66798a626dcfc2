"""The path of a client's base URL, which precedes the paths of the upstream API's endpoints.

It is read when a request is sent: the application may set a base URL later, and OpenAI's and
Anthropic's SDKs create clients that have other base URLs and share one HTTP client. A request does
not refer to its client, so the client is found in the call stack.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlsplit

_HTTP_CLIENT_MODULES = frozenset({"httpx._client", "httpx2._client", "requests.sessions"})

_SDK_MODULE = "._base_client"
"""The end of the module name in OpenAI's and Anthropic's SDKs, and others generated like them."""

_MAX_FRAMES = 25


def base_path(client: object) -> str:
    """Return the path of a client's base URL; an empty one if it has none."""
    base_url: Any = getattr(client, "base_url", None)
    path = urlsplit(base_url).path if isinstance(base_url, str) else getattr(base_url, "path", "")
    return path if isinstance(path, str) and path.strip("/") else ""


def current_base_path() -> str | None:
    """Return the path of the base URL of the client that is sending a request.

    That is the SDK's client if an SDK sends the request, otherwise the HTTP client. None if no
    client is found, or if the HTTP client has no such path.
    """
    http_client = None
    frame = sys._getframe(1).f_back
    for _ in range(_MAX_FRAMES):
        if frame is None:
            break
        module = frame.f_globals.get("__name__")
        if http_client is None:
            if module in _HTTP_CLIENT_MODULES:
                http_client = frame.f_locals.get("self")
        elif isinstance(module, str) and module.endswith(_SDK_MODULE):
            sdk_client = frame.f_locals.get("self")
            # An outer SDK client may wait for a request of another client, such as for a token.
            if getattr(sdk_client, "_client", None) is http_client:
                return base_path(sdk_client)
        frame = frame.f_back
    return base_path(http_client) or None
