"""The metrics endpoint of a host that runs workers and no web server: ``WORKER_PORT``.

The worker's main process serves it, in threads, from the shared store: its child processes
need no port.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse, HttpResponseBase

from tachikoma_metrics import conf
from tachikoma_metrics.page import access
from tachikoma_metrics.page.addresses import client_network
from tachikoma_metrics.page.rejections import BUSY, Rejection, record_rejection
from tachikoma_metrics.page.response import RESPONSE_HEADERS, respond_in_thread
from tachikoma_metrics.page.worker_connections import Connections
from tachikoma_metrics.registry import METRICS

logger = logging.getLogger("tachikoma_metrics")

_SECONDS_BETWEEN_TRIES = 2.0
_DEFAULT_PATH = "/metrics"
_IDLE_TIMEOUT_SECONDS = 10


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


class MetricsServer(socketserver.ThreadingMixIn, WSGIServer):
    """Serves the metrics in one daemon thread for each connection."""

    daemon_threads = True
    request_queue_size = 64

    allow_reuse_port = False
    """Two servers on one port would each get some of the connections."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.connections = Connections()
        super().__init__(*args, **options)

    def server_close(self) -> None:
        """Close the socket; another server of this process may follow."""
        super().server_close()
        if _Port.server is self:
            _Port.server = None

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


class _MetricsServer6(MetricsServer):
    address_family = socket.AF_INET6


class _Port:
    """The port of this process, which a forked child must not keep."""

    server: MetricsServer | None = None
    is_awaited = False

    @classmethod
    def close_in_child(cls) -> None:
        """Close the socket that this process has from its parent, and serve nothing."""
        server, cls.server = cls.server, None
        cls.is_awaited = False
        if server is not None:
            server.socket.close()


if hasattr(os, "register_at_fork"):
    # A child process that outlives the worker would keep the port.
    os.register_at_fork(after_in_child=_Port.close_in_child)


def serve_metrics() -> MetricsServer | None:
    """Serve the metrics on ``WORKER_PORT`` in a thread; return None if that is not possible now.

    Of the workers on a host, the first that starts serves. Each of the others tries every two
    seconds, so that one of them serves once that one ends. Any other error is logged and counted
    as an instrumentation error, and the worker continues.
    """
    config = conf.config()
    if config.worker_port is None or not config.enabled:
        return None
    if _Port.server is not None or _Port.is_awaited:
        return None
    server = _server_or_none(config.worker_host, config.worker_port)
    if server is not None:
        _start(server.serve_forever)
    return server


def _server_or_none(host: str, port: int) -> MetricsServer | None:
    try:
        return _bound(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            logger.info(
                "Port %d (WORKER_PORT) is in use, as another worker on this host serves the "
                "metrics; this worker takes over if it ends.",
                port,
            )
            _Port.is_awaited = True
            _start(partial(_serve_when_free, host, port))
        else:
            _report(error, port)
    return None


def _serve_when_free(host: str, port: int) -> None:
    """Serve once the port is free; a forked child has no such thread."""
    while True:
        time.sleep(_SECONDS_BETWEEN_TRIES)
        try:
            server = _bound(host, port)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                continue
            _report(error, port)
            _Port.is_awaited = False
        else:
            _Port.is_awaited = False
            server.serve_forever()
        return


def _bound(host: str, port: int) -> MetricsServer:
    """Return a server that listens on the port; raises OSError if it cannot."""
    kind = _MetricsServer6 if ":" in host else MetricsServer
    server = kind((host, port), _Handler, bind_and_activate=False)
    server.set_app(_application)
    # Before it listens: a child that is forked meanwhile closes it.
    _Port.server = server
    try:
        server.server_bind()
        server.server_activate()
    except BaseException:
        _Port.server = None
        server.server_close()
        raise
    place = f"[{host}]" if ":" in host else host or "0.0.0.0"  # noqa: S104  # What is logged.
    path = conf.config().path or _DEFAULT_PATH
    logger.info("Serving metrics on http://%s:%d%s", place, server.server_port, path)
    return server


def _start(target: Callable[[], None]) -> None:
    threading.Thread(target=target, name="metrics-server", daemon=True).start()


def _report(error: OSError, port: int) -> None:
    logger.warning(
        "Cannot serve metrics on port %d (WORKER_PORT): %s. The worker continues without.",
        port,
        error,
    )
    METRICS.count_error("worker_page", error, port)


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
