"""The metrics endpoint of a host that runs workers and no web server: ``WORKER_PORT``.

The worker's main process serves it, in threads, from the shared store: its child processes
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
from tachikoma_metrics.page.addresses import client_network
from tachikoma_metrics.page.rejections import BUSY, Rejection, record_rejection
from tachikoma_metrics.page.response import RESPONSE_HEADERS, respond_in_thread
from tachikoma_metrics.registry import METRICS

logger = logging.getLogger("tachikoma_metrics")

_ALL_ADDRESSES = ""
_DEFAULT_PATH = "/metrics"
_IDLE_TIMEOUT_SECONDS = 10
_HEAD_TIMEOUT_SECONDS = 5
_SCRAPE_TIMEOUT_SECONDS = 30
_MAX_CONNECTIONS = 16
_MAX_CONNECTIONS_PER_NETWORK = 8
"""More than the scrapers of one network need; the other connections are for other networks."""


class _Handler(WSGIRequestHandler):
    timeout = _IDLE_TIMEOUT_SECONDS
    server: MetricsServer

    def parse_request(self) -> bool:
        """Read the head of the request, which starts the timeout of the scrape."""
        is_valid = super().parse_request()
        if is_valid:
            self.server.connections.start_scrape(self.connection)
        return is_valid

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: scrapes are too frequent to be logged."""

    def address_string(self) -> str:
        """Return the peer's address, without a reverse DNS lookup."""
        return str(self.client_address[0])


@dataclass
class _Connection:
    network: str
    times_out_at: float
    has_request: bool = False
    """Whether the client has sent the head of a request."""


class Connections:
    """Limit the connections that are served, and end those that time out.

    At the limit, the oldest connection without a request is ended for a new one: a scraper
    sends its request immediately.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[socket.socket, _Connection] = {}

    def begin(self, connection: socket.socket, network: str) -> bool:
        """Admit a connection; return False at the limit."""
        with self._lock:
            if not self._has_room(network):
                return False
            times_out_at = time.monotonic() + _HEAD_TIMEOUT_SECONDS
            self._open[connection] = _Connection(network, times_out_at)
            return True

    def start_scrape(self, connection: socket.socket) -> None:
        """Note that the client has sent a request, and start the timeout of the scrape."""
        with self._lock:
            if connection in self._open:
                known = self._open[connection]
                known.has_request = True
                known.times_out_at = time.monotonic() + _SCRAPE_TIMEOUT_SECONDS

    def end(self, connection: socket.socket) -> None:
        """Note that a connection was closed."""
        with self._lock:
            self._open.pop(connection, None)

    def end_timed_out(self) -> None:
        """End the connections that timed out."""
        now = time.monotonic()
        with self._lock:
            late = [one for one, known in self._open.items() if known.times_out_at < now]
            for connection in late:
                self._shut_down(connection)

    def _has_room(self, network: str) -> bool:
        neighbours = [one for one, known in self._open.items() if known.network == network]
        if len(neighbours) >= _MAX_CONNECTIONS_PER_NETWORK:
            return self._make_room(neighbours)
        return len(self._open) < _MAX_CONNECTIONS or self._make_room(list(self._open))

    def _make_room(self, candidates: list[socket.socket]) -> bool:
        """End the oldest connection without a request; return whether there was one."""
        oldest = next((one for one in candidates if not self._open[one].has_request), None)
        if oldest is not None:
            self._shut_down(oldest)
        return oldest is not None

    def _shut_down(self, connection: socket.socket) -> None:
        del self._open[connection]
        # Its thread closes it: closed here, the thread might use a reused file descriptor.
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


class MetricsServer(socketserver.ThreadingMixIn, WSGIServer):
    """Serves the metrics in one daemon thread for each connection."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *args: Any) -> None:
        self.connections = Connections()
        super().__init__(*args)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Reject a peer without access, before a connection and a thread are used for it."""
        peer = str(client_address[0])
        rejection = access.peer_rejection(peer)
        if rejection is None:
            if self.connections.begin(request, client_network(peer)):
                return True
            rejection = BUSY
        record_rejection(rejection, peer)
        _send_rejection(request, rejection)
        return False

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a new thread; if none can be started, end the connection."""
        try:
            super().process_request(request, client_address)
        except BaseException as error:
            self.connections.end(request)
            if isinstance(error, Exception):
                METRICS.count_error("worker_page", error)
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, then make room for another."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.end(request)

    def service_actions(self) -> None:
        """End what timed out; the server calls this twice a second and after each connection."""
        self.connections.end_timed_out()

    def server_bind(self) -> None:
        """Bind, without a DNS lookup of this host's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log a scraper that disconnected at the level of debugging only."""
        logger.debug("The scrape by %s ended early.", client_address, exc_info=True)


def serve_metrics() -> MetricsServer | None:
    """Serve the metrics on ``WORKER_PORT`` in a thread; return None if it is not set.

    If the port cannot be bound, that is logged and counted as an instrumentation error, and
    the worker continues.
    """
    config = conf.config()
    if config.worker_port is None or not config.enabled:
        return None
    try:
        server = make_server(
            _ALL_ADDRESSES, config.worker_port, _application, MetricsServer, _Handler
        )
    except OSError as error:
        logger.warning(
            "Cannot serve metrics on port %d (WORKER_PORT): %s. The worker continues without.",
            config.worker_port,
            error,
        )
        METRICS.count_error("worker_page", error, config.worker_port)
        return None
    if hasattr(os, "register_at_fork"):
        # A child process that outlives the worker would keep the port.
        os.register_at_fork(after_in_child=server.socket.close)
    threading.Thread(target=server.serve_forever, name="metrics-server", daemon=True).start()
    path = config.path or _DEFAULT_PATH
    logger.info("Serving metrics on http://0.0.0.0:%d%s", server.server_port, path)
    return server


def _send_rejection(connection: Any, rejection: Rejection) -> None:
    """Send a rejection if that does not block: no thread is used for a rejected client."""
    status = f"{rejection.status} {HTTPStatus(rejection.status).phrase}"
    head = {"Content-Type": "text/plain; charset=utf-8", **RESPONSE_HEADERS}
    lines = [f"HTTP/1.0 {status}", *(f"{name}: {value}" for name, value in head.items())]
    response = "\r\n".join([*lines, "", rejection.body])
    with contextlib.suppress(OSError):
        connection.setblocking(False)
        connection.send(response.encode())
        # Closing a socket with unread data resets it, and the client would get no response.
        connection.recv(65536)


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    response = _answer(environ)
    start_response(
        f"{response.status_code} {response.reason_phrase}", list(response.headers.items())
    )
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else response


def _answer(environ: dict[str, Any]) -> HttpResponseBase:
    if environ.get("PATH_INFO") not in {conf.config().path, _DEFAULT_PATH, "/"}:
        body, kind = f"Not Found: metrics are served at {_DEFAULT_PATH}.\n", "text/plain"
        return HttpResponse(body, status=404, content_type=kind, headers=RESPONSE_HEADERS)
    return respond_in_thread(WSGIRequest(environ))
