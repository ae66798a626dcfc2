"""The page of a host that runs workers and no web server: ``WORKER_PORT``.

The worker's main process serves it, in threads, from the shared store: its children
need no port.
"""

from __future__ import annotations

import logging
import os
import socketserver
import threading
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponse, HttpResponseBase

from tachikoma_metrics import conf
from tachikoma_metrics.page import respond_in_thread
from tachikoma_metrics.registry import METRICS

logger = logging.getLogger("tachikoma_metrics")

_EVERY_ADDRESS = ""
_SECONDS_A_CLIENT_MAY_BE_SILENT = 10
_SECONDS_FOR_A_SCRAPE = 30
_MOST_AT_A_TIME = 16


class _Handler(WSGIRequestHandler):
    timeout = _SECONDS_A_CLIENT_MAY_BE_SILENT

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing: a scrape every few seconds is no news."""

    def address_string(self) -> str:
        """Return the peer's address, without asking for its name."""
        return str(self.client_address[0])


class PageServer(socketserver.ThreadingMixIn, WSGIServer):
    """Serves the page; a thread for each scrape, none of which keeps the process alive."""

    daemon_threads = True
    _free = threading.BoundedSemaphore(_MOST_AT_A_TIME)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve one more, unless there are too many."""
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one, and no longer than is decent."""
        deadline = threading.Timer(_SECONDS_FOR_A_SCRAPE, self.shutdown_request, [request])
        deadline.daemon = True
        deadline.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            deadline.cancel()
            self._free.release()

    def server_bind(self) -> None:
        """Bind, without asking for the name of this host."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a scraper that left."""
        logger.debug("A scrape by %s ended early.", client_address, exc_info=True)


def serve_page() -> PageServer | None:
    """Serve the page on ``WORKER_PORT`` in a thread; return None if there is none.

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
        METRICS.fault("worker_page", error, config.worker_port)
        return None
    if hasattr(os, "register_at_fork"):
        # A child that outlives the worker would keep the port.
        os.register_at_fork(after_in_child=server.socket.close)
    threading.Thread(target=server.serve_forever, name="metrics-page", daemon=True).start()
    logger.info("The metrics of this host are served on port %d.", server.server_port)
    return server


def _application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    response = _answer(environ)
    start_response(
        f"{response.status_code} {response.reason_phrase}", list(response.headers.items())
    )
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else response


def _answer(environ: dict[str, Any]) -> HttpResponseBase:
    if environ.get("PATH_INFO") not in {conf.config().path, "/metrics", "/"}:
        return HttpResponse("The metrics are at /metrics.\n", status=404, content_type="text/plain")
    return respond_in_thread(WSGIRequest(environ))
