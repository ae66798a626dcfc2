"""What happened, a line for each event, written where no metric is.

Each line is one system call, so a process that is killed leaves exactly what it reached.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

_file = os.open(os.environ.get("LEDGER", os.devnull), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

METRICS = "/metrics"


def write(*words: object) -> None:
    """Write a line."""
    os.write(_file, (" ".join(map(str, words)) + "\n").encode())


class WSGILedger:
    """Write down which requests a WSGI application begins and ends."""

    def __init__(self, application: Callable[..., Iterable[bytes]]) -> None:
        self.application = application

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Answer as the application does."""
        if environ["PATH_INFO"] == METRICS:
            return self.application(environ, start_response)
        statuses = [""]

        def start(status: str, *rest: Any) -> Any:
            statuses[0] = status[:3]
            return start_response(status, *rest)

        write("begun", environ["PATH_INFO"])
        try:
            return self.application(environ, start)
        finally:
            write("ended", statuses[0])


Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


class ASGILedger:
    """Write down which requests an ASGI application begins and ends."""

    def __init__(self, application: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        if scope["type"] != "http" or scope["path"] == METRICS:
            await self.application(scope, receive, send)
            return
        status = 0

        async def note_status(message: Mapping[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        write("begun", scope["path"])
        try:
            await self.application(scope, receive, note_status)
        finally:
            write("ended", status)
