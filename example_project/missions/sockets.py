"""A WebSocket that sends the progress of the missions: plain ASGI, without Channels."""

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
    """Send the numbers each second, and after each message of the client."""
    await receive()
    await send({"type": "websocket.accept"})
    message = asyncio.ensure_future(receive())
    try:
        while not is_disconnect(message):
            if message.done():
                message = asyncio.ensure_future(receive())
            await send({"type": "websocket.send", "text": await sync_to_async(numbers)()})
            # wait() does not cancel receive(), which would lose a message.
            await asyncio.wait([message], timeout=SECONDS_BETWEEN_MESSAGES)
    finally:
        message.cancel()


def is_disconnect(message: asyncio.Future[Any]) -> bool:
    """Return whether the last message is the disconnect of the client."""
    return message.done() and message.result()["type"] == "websocket.disconnect"


def numbers() -> str:
    """Return the number of missions and of specs by status, as JSON."""
    return json.dumps(count_by_status())
