"""The metrics endpoint of a host that runs workers and no web server: ``WORKER_PORT``.

The worker's main process serves it, in threads, from the shared store: its children
need no port.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse, HttpResponseBase

from tachikoma_metrics import conf
from tachikoma_metrics.page import access
from tachikoma_metrics.page.response import ON_EVERY_ANSWER, respond_in_thread
from tachikoma_metrics.registry import METRICS

logger = logging.getLogger("tachikoma_metrics")

_EVERY_ADDRESS = ""
_SECONDS_A_CLIENT_MAY_BE_SILENT = 10
_SECONDS_FOR_A_HEAD = 5
_SECONDS_FOR_A_SCRAPE = 30
_MOST_AT_A_TIME = 16
_MOST_OF_A_NETWORK = 8
"""More than the scrapers of one network need; the other places are for other networks."""


class _Handler(WSGIRequestHandler):
    timeout = _SECONDS_A_CLIENT_MAY_BE_SILENT
    server: PageServer

    def parse_request(self) -> bool:
        """Read the head of the request; with that, the client has time for the answer."""
        is_read = super().parse_request()
        if is_read:
            self.server.connections.read(self.connection)
        return is_read

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a scrape every few seconds is no news."""

    def address_string(self) -> str:
        """Return the peer's address, without asking for its name."""
        return str(self.client_address[0])


@dataclass
class _Connection:
    network: str
    ends_at: float
    is_unread: bool = True
    """Whether its client has yet to send the head of a request."""


class Connections:
    """Hold a place for each connection that is served, and end those that take too long.

    Where all places are taken, a client that has sent no request makes room for another: a
    scraper sends its own at once.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[socket.socket, _Connection] = {}

    def begin(self, connection: socket.socket, network: str) -> bool:
        """Take a place for a connection; return whether there was one."""
        with self._lock:
            if not self._has_room(network):
                return False
            self._open[connection] = _Connection(network, time.monotonic() + _SECONDS_FOR_A_HEAD)
            return True

    def read(self, connection: socket.socket) -> None:
        """Give the client of a connection, who has sent a request, time for the answer."""
        with self._lock:
            if connection in self._open:
                known = self._open[connection]
                known.is_unread, known.ends_at = False, time.monotonic() + _SECONDS_FOR_A_SCRAPE

    def end(self, connection: socket.socket) -> None:
        """Give the place of a connection back."""
        with self._lock:
            self._open.pop(connection, None)

    def end_late(self) -> None:
        """End the connections whose time is over."""
        now = time.monotonic()
        with self._lock:
            for connection in [one for one, known in self._open.items() if known.ends_at < now]:
                self._cut_off(connection)

    def _has_room(self, network: str) -> bool:
        neighbours = [one for one, known in self._open.items() if known.network == network]
        if len(neighbours) >= _MOST_OF_A_NETWORK:
            return self._make_room(neighbours)
        return len(self._open) < _MOST_AT_A_TIME or self._make_room(list(self._open))

    def _make_room(self, candidates: list[socket.socket]) -> bool:
        """End the oldest connection without a request; return whether there was one."""
        oldest = next((one for one in candidates if self._open[one].is_unread), None)
        if oldest is not None:
            self._cut_off(oldest)
        return oldest is not None

    def _cut_off(self, connection: socket.socket) -> None:
        del self._open[connection]
        # Not closed: its thread does that, which would use the number of another file else.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class PageServer(socketserver.ThreadingMixIn, WSGIServer):
    """Serves the metrics; a thread for each scrape, none of which keeps the process alive."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *args: Any) -> None:
        self.connections = Connections()
        super().__init__(*args)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Refuse a peer that may not read, before it takes the place of one that may."""
        peer = str(client_address[0])
        refused = access.refusal_of_peer(peer)
        if refused is None:
            if self.connections.begin(request, access.network_of(peer)):
                return True
            refused = access.BUSY
        access.record_refusal(refused, peer)
        _answer_at_once(request, refused)
        return False

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one more, in a thread; without one its place is free again."""
        try:
            super().process_request(request, client_address)
        except BaseException as error:
            self.connections.end(request)
            if isinstance(error, Exception):
                METRICS.count_error("worker_page", error)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one, and give its place back."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.end(request)

    def service_actions(self) -> None:
        """End what takes too long; called twice a second, and after each new connection."""
        self.connections.end_late()

    def server_bind(self) -> None:
        """Bind, without asking for the name of this host."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a scraper that left."""
        logger.debug("A scrape by %s ended early.", client_address, exc_info=True)


def serve_page() -> PageServer | None:
    """Serve the metrics on ``WORKER_PORT`` in a thread; return None if there is none.

    A port that cannot be had is a line in the log, and a fault: the worker works on.
    """
    config = conf.config()
    if config.worker_port is None or not config.enabled:
        return None
    try:
        server = make_server(_EVERY_ADDRESS, config.worker_port, _application, PageServer, _Handler)
    except OSError as error:
        logger.warning(
            "`WORKER_PORT` should be a free port; %d is not: %s. This worker serves no page.",
            config.worker_port,
            error,
        )
        METRICS.count_error("worker_page", error, config.worker_port)
        return None
    if hasattr(os, "register_at_fork"):
        # A child that outlives the worker would keep the port.
        os.register_at_fork(after_in_child=server.socket.close)
    threading.Thread(target=server.serve_forever, name="metrics-page", daemon=True).start()
    logger.info("The metrics of this host are served on port %d.", server.server_port)
    return server


def _answer_at_once(connection: Any, refused: access.Refusal) -> None:
    """Answer as far as that takes no time: no thread is kept for a client that is refused."""
    status = f"{refused.status} {HTTPStatus(refused.status).phrase}"
    body = f"{status.partition(' ')[2]}: {refused.reason}\n"
    head = {"Content-Type": "text/plain; charset=utf-8", **ON_EVERY_ANSWER}
    lines = [f"HTTP/1.0 {status}", *(f"{name}: {value}" for name, value in head.items()), "", body]
    with contextlib.suppress(OSError):
        connection.setblocking(False)
        connection.send("\r\n".join(lines).encode())
        # What is unread when it is closed would have the client see no answer.
        connection.recv(65536)


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    response = _answer(environ)
    start_response(
        f"{response.status_code} {response.reason_phrase}", list(response.headers.items())
    )
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else response


def _answer(environ: dict[str, Any]) -> HttpResponseBase:
    if environ.get("PATH_INFO") not in {conf.config().path, "/metrics", "/"}:
        body, kind = "The metrics are at /metrics.\n", "text/plain"
        return HttpResponse(body, status=404, content_type=kind, headers=ON_EVERY_ANSWER)
    return respond_in_thread(WSGIRequest(environ))
