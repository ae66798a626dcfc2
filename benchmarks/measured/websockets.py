"""Overhead per WebSocket message."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from django.test import override_settings

from benchmarks.measured.commands import run_commands
from benchmarks.measured.expositions import require_counted
from benchmarks.measured.timing import Prepare, Work, added, cpu_seconds, stay_on_one_cpu
from benchmarks.project.start import start
from benchmarks.rounds import Figures

_MESSAGE = {
    "type": "websocket.receive",
    "text": json.dumps({"type": "move", "unit": "fuchikoma", "to": [35.6, 139.7], "at": 1.5e9}),
}
_ACCEPT = {"type": "websocket.accept"}
_DISCONNECT = {"type": "websocket.disconnect", "code": 1000}

App = Callable[[Any, Any, Any], Awaitable[Any]]


def measure(messages: int, repeats: int) -> Figures:
    """Return the CPU seconds of a message, and the added ones, by settings."""
    from django.conf import settings

    from tachikoma_metrics.asgi import WebSocketMetricsMiddleware

    bare = conversations(echo, messages)
    measured = conversations(WebSocketMetricsMiddleware(echo), messages)
    with require_counted((1 + repeats) * messages // 2, "ws_messages_sent_total"):
        plain = added(bare, measured, repeats) / messages
    listing = {**settings.TACHIKOMA_METRICS, "WS_MESSAGE_TYPES": ["move"]}
    with override_settings(TACHIKOMA_METRICS=listing):
        types = added(bare, measured, repeats) / messages
    least = min(cpu_seconds(bare) for _ in range(repeats)) / messages
    return {"bare": least, "plain": plain, "types": types}


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send each message back."""
    await send(_ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def conversations(app: App, messages: int) -> Prepare:
    """Return work that receives and sends ``messages`` messages in total."""

    def prepare() -> Work:
        incoming = iter([_MESSAGE] * (messages // 2))

        async def receive() -> object:
            return next(incoming, _DISCONNECT)

        async def send(message: object) -> None:
            pass

        async def converse() -> None:
            await app({"type": "websocket"}, receive, send)

        return lambda: asyncio.run(converse())

    return prepare


if __name__ == "__main__":
    stay_on_one_cpu()
    start()
    run_commands({"measure": measure})
