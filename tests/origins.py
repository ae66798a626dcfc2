"""A server on loopback that answers as a test tells it to."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Answer:
    """What is sent; a body breaks off after its chunks if it ``hangs`` or ``breaks``."""

    status: int = 200
    chunks: Sequence[bytes] = (b"{}",)
    content_type: str = "application/json"
    hangs: bool = False
    breaks: bool = False
    headers: dict[str, str] = field(default_factory=dict)


Reply = Callable[[str, bytes], Answer]


class Origin:
    """The server, with the path and body of each request that it saw."""

    def __init__(self, reply: Reply | None = None) -> None:
        self.answers: list[Answer] = []
        self.seen: list[tuple[str, bytes]] = []
        self.asked = threading.Event()
        self.let_go = threading.Event()
        self._reply = reply or (lambda path, body: Answer())
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.origin = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def answer(self, path: str, body: bytes) -> Answer:
        """Return the next answer that was put there, or what is always answered."""
        self.seen.append((path, body))
        self.asked.set()
        return self.answers.pop(0) if self.answers else self._reply(path, body)

    @contextlib.contextmanager
    def running(self) -> Iterator[Origin]:
        """Serve in a thread."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield self
        finally:
            self.let_go.set()
            self._server.shutdown()
            self._server.server_close()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    origin: Origin

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a client that left."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def _answer(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        answer = self.server.origin.answer(self.path, self.rfile.read(length))
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for chunk in answer.chunks:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if answer.hangs:
            self.server.origin.let_go.wait(10)
        if answer.hangs or answer.breaks:
            self.close_connection = True
            return
        self.wfile.write(b"0\r\n\r\n")

    do_GET = do_POST = do_DELETE = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""
