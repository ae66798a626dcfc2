"""The measurement of one WebSocket connection, by its ASGI messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from tachikoma_metrics.recording.error_types import is_disconnection
from tachikoma_metrics.recording.recorders import (
    WS_CONNECTION,
    WS_DISCONNECT,
    WS_MESSAGE_RECEIVED,
    WS_MESSAGE_SENT,
    WS_REJECTION,
)
from tachikoma_metrics.registry import METRICS, Progress
from tachikoma_metrics.websocket.message_types import (
    FAILED,
    LOST,
    message_type,
    received_code,
    sent_code,
)

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[Any]]
Application = Callable[[Any, Receive, Send], Awaitable[Any]]

CLOSED, DENIED, LEFT, ERROR = "closed", "denied", "left", "error"

_CANCELLATIONS = (asyncio.CancelledError, GeneratorExit)
_ONE = (1.0,)


class Connection:
    """Measure a WebSocket connection: it is accepted and ends, or is rejected, once.

    It ends with the first message or exception that shows so: the application may run on for
    long after that, and not every server sends ``websocket.disconnect``.
    """

    __slots__ = ("_is_connecting", "_is_open", "_opened_at", "_progress", "_receive", "_send")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._is_connecting = True
        self._is_open = False
        self._progress = Progress()

    async def receive(self) -> Any:
        """Return the next message from the server to the application."""
        message = await self._receive()
        try:
            self._record_received(message)
        except Exception as error:
            METRICS.count_error("websocket", error)
        return message

    async def send(self, message: Any) -> Any:
        """Send a message from the application to the server."""
        try:
            result = await self._send(message)
        except Exception as error:
            self._record_send_error(error)
            raise
        try:
            self._record_sent(message)
        except Exception as error:
            METRICS.count_error("websocket", error)
        return result

    def finish(self, error: BaseException | None) -> None:
        """End with the application, which returned or raised ``error``."""
        is_cancelled = isinstance(error, _CANCELLATIONS)
        try:
            self._reject(LEFT if is_cancelled else ERROR)
            self._end(LOST if error is None or is_cancelled else FAILED)
        except Exception as internal_error:
            METRICS.count_error("websocket", internal_error)

    def discard(self) -> None:
        """End without a record, unless the connection has ended."""
        WS_CONNECTION.abandon(self._progress)

    def _record_received(self, message: Any) -> None:
        kind = message["type"]
        if kind == "websocket.receive":
            WS_MESSAGE_RECEIVED.record_valid((message_type(message),), _ONE)
        elif kind == "websocket.disconnect":
            self._reject(LEFT)
            self._end(received_code(message))

    def _record_sent(self, message: Any) -> None:
        kind = message["type"]
        if kind == "websocket.send":
            # Some servers silently drop messages to a client that has disconnected.
            if self._is_open:
                WS_MESSAGE_SENT.record_valid((message_type(message),), _ONE)
        elif kind == "websocket.accept":
            self._open()
        elif kind == "websocket.close":
            self._reject(CLOSED)
            self._end(sent_code(message))
        elif kind == "websocket.http.response.start":
            self._reject(DENIED)

    def _record_send_error(self, error: Exception) -> None:
        # Neither a message that the server rejects nor a cancelled send ends the connection:
        # the application may continue with it.
        try:
            if is_disconnection(error):
                self._reject(LEFT)
                self._end(LOST)
        except Exception as internal_error:
            METRICS.count_error("websocket", internal_error)

    def _open(self) -> None:
        if self._is_connecting:
            self._is_connecting = False
            self._is_open = True
            self._opened_at = now = perf_counter()
            WS_CONNECTION.begin(self._progress, now)
            WS_CONNECTION.record_valid((), _ONE, now=now)

    def _end(self, code: str) -> None:
        if self._is_open:
            now = perf_counter()
            amounts = (1.0, now - self._opened_at)
            WS_DISCONNECT.record_valid((code,), amounts, self._progress, now)
            self._is_open = False

    def _reject(self, reason: str) -> None:
        if self._is_connecting:
            self._is_connecting = False
            WS_REJECTION.record_valid((reason,), _ONE)


def is_measured(receive: Receive) -> bool:
    """Return whether an outer middleware already measures the connection."""
    return isinstance(getattr(receive, "__self__", None), Connection)
