from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from django.urls import path


async def chat(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    await receive()
    await send({"type": "websocket.accept"})


routes = [path("chat/", chat)]  # type: ignore[arg-type]  # Channels routes to ASGI applications.
