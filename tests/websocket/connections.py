"""WebSocket connections: a server, applications, and their messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tachikoma_metrics.asgi import WebSocketMetricsMiddleware

SCOPE = {"type": "websocket", "path": "/"}
CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
DISCONNECT = {"type": "websocket.disconnect", "code": 1001}

App = Callable[..., Awaitable[Any]]


def received(text: str | None = None, data: bytes | None = None) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": text, "bytes": data}


def sent(**content: Any) -> dict[str, Any]:
    return {"type": "websocket.send", **content}


class Server:
    """A server with one connection: messages to the application, and messages from it."""

    def __init__(self, *incoming: Any) -> None:
        self.incoming = list(incoming)
        self.outgoing: list[Any] = []
        self.fails_with: BaseException | None = None

    async def receive(self) -> Any:
        await asyncio.sleep(0)
        return self.incoming.pop(0)

    async def send(self, message: Any) -> None:
        await asyncio.sleep(0)
        if self.fails_with is not None:
            raise self.fails_with
        self.outgoing.append(message)

    async def serve(self, app: App, scope: Any = SCOPE) -> Any:
        return await WebSocketMetricsMiddleware(app)(scope, self.receive, self.send)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Accept, send each message back, and return when the client disconnects."""
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send(ACCEPT)
        else:
            await send({**message, "type": "websocket.send"})


def app_sending(*messages: Any, then: BaseException | None = None) -> App:
    """Return an app that sends these messages without receiving any, then raises ``then``."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if then is not None:
            raise then

    return app
