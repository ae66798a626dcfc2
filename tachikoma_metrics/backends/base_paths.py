"""The path of a client's base URL, below which its backend has the operations.

It is read from the client that sends a request, when it does: a base URL may be set later, and
OpenAI's and Anthropic's SDKs make clients with other ones, which share an HTTP client. Such a
client is found on the stack, for a request does not say who made it.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlsplit

_SENDERS = frozenset({"httpx._client", "httpx2._client", "requests.sessions"})
"""The modules whose objects send requests through what is measured."""

_SDK = "._base_client"
"""The module of OpenAI's and Anthropic's SDKs, and of others that are generated as they are."""

_MOST_FRAMES = 25


def base_path(client: object) -> str:
    """Return the path of a client's base URL; an empty one if it has none."""
    base_url: Any = getattr(client, "base_url", None)
    path = urlsplit(base_url).path if isinstance(base_url, str) else getattr(base_url, "path", "")
    return path if isinstance(path, str) and path.strip("/") else ""


def sending_base_path() -> str | None:
    """Return the path of the base URL of the client that sends a request now.

    That of an SDK's client, if one sends through an HTTP client, else that of the HTTP client. None
    if neither is known, or the latter has no path.
    """
    sender = None
    frame = sys._getframe(1).f_back
    for _ in range(_MOST_FRAMES):
        if frame is None:
            break
        module = frame.f_globals.get("__name__")
        if sender is None:
            if module in _SENDERS:
                sender = frame.f_locals.get("self")
        elif isinstance(module, str) and module.endswith(_SDK):
            client = frame.f_locals.get("self")
            # Not one that waits for a request of another client, as for a token.
            if getattr(client, "_client", None) is sender:
                return base_path(client)
        frame = frame.f_back
    return base_path(sender) or None
