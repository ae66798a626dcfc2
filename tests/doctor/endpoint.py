"""An HTTP server that responds as a test wants."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from typing import Any

Doctor = Callable[..., tuple[int, dict[str, dict[str, str]]]]
"""Runs the command, and returns the exit status and the findings by check."""

Serve = Callable[..., str]
"""Sets the response of the server, and returns its URL."""

over = threading.Event()
"""Set when a test has seen enough of a response without end."""


class Endpoint(BaseHTTPRequestHandler):
    status = 200
    body = ""
    location = ""
    ends = True
    tokens: list[str | None] = []
    when_asked: Callable[[], object] = staticmethod(lambda: None)

    def do_GET(self) -> None:
        self.when_asked()
        self.tokens.append(self.headers.get("Authorization"))
        body = self.body.encode()
        self.send_response(self.status)
        if self.location:
            self.send_header("Location", self.location)
        if self.ends:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(body)
            while not self.ends and not over.is_set():
                self.wfile.write(b"a" * 100_000)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
