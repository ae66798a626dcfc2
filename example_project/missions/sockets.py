"""A WebSocket that tells how the missions come along: plain ASGI, without Channels."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async

from missions.models import count_by_status

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[Any]]

SECONDS_BETWEEN_MESSAGES = 1.0


async def missions(receive: Receive, send: Send) -> None:
    """Send the numbers each second, and whenever the client sends anything."""
    await receive()
    await send({"type": "websocket.accept"})
    coming = asyncio.ensure_future(receive())
    try:
        while not has_left(coming):
            if coming.done():
                coming = asyncio.ensure_future(receive())
            await send({"type": "websocket.send", "text": await sync_to_async(numbers)()})
            # Waits without cancelling: what is half received would be lost.
            await asyncio.wait([coming], timeout=SECONDS_BETWEEN_MESSAGES)
    finally:
        coming.cancel()


def has_left(coming: asyncio.Future[Any]) -> bool:
    """Tell whether what came last is the client's leave."""
    return coming.done() and coming.result()["type"] == "websocket.disconnect"


def numbers() -> str:
    """Return how many missions there are, and how many specs by status, as JSON."""
    return json.dumps(count_by_status())
