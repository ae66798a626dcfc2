from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from depot.asgi import application as django
from tachikoma_metrics.asgi import WebSocketMetricsMiddleware

enough = asyncio.Event()

ACCEPT = {"type": "websocket.accept"}
NO_TEXT = {"type": "websocket.send", "text": 7}
SURROGATE = {"type": "websocket.send", "text": "\ud800"}

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[Any]]


async def reject(receive: Receive, send: Send) -> None:
    """Accept nobody."""
    await send({"type": "websocket.close"})


async def fail(receive: Receive, send: Send) -> None:
    """Fail before anybody is accepted."""
    raise RuntimeError("On purpose.")


async def echo(receive: Receive, send: Send) -> None:
    """Send back what comes, or do what it says."""
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        match message.get("text"):
            case "close":
                await send({"type": "websocket.close", "code": 4008})
            case "raise":
                raise RuntimeError("On purpose.")
            case "return":
                return
            case "be cancelled":
                raise asyncio.CancelledError
            case "misbehave":
                for wrong in (ACCEPT, NO_TEXT, SURROGATE, {"type": "nonsense"}):
                    with contextlib.suppress(Exception):
                        await send(wrong)
                await send({**message, "type": "websocket.send"})
            case _:
                await send({**message, "type": "websocket.send"})


async def linger(receive: Receive, send: Send) -> None:
    """Clean up until somebody says that it is enough."""
    await echo(receive, send)
    await enough.wait()


async def release(receive: Receive, send: Send) -> None:
    """Say that it is enough."""
    enough.set()
    await reject(receive, send)


async def push(receive: Receive, send: Send) -> None:
    """Send, and look at nothing that comes."""
    await send(ACCEPT)
    for _ in range(100):
        await send({"type": "websocket.send", "text": "x" * 1000})
        await asyncio.sleep(0.01)


async def hesitate(receive: Receive, send: Send) -> None:
    """Accept nobody, and wait for the client to leave."""
    await receive()


PATHS = {
    "/echo": echo,
    "/fail": fail,
    "/hesitate": hesitate,
    "/linger": linger,
    "/push": push,
    "/reject": reject,
    "/release": release,
}


async def route(scope: Any, receive: Receive, send: Send) -> None:
    """Serve WebSockets here, and everything else by Django."""
    if scope["type"] != "websocket":
        await django(scope, receive, send)
        return
    await receive()
    await PATHS[scope["path"]](receive, send)


application = WebSocketMetricsMiddleware(route)
