"""The endpoint at ``WORKER_PORT``: its responses, and the limits of its connections."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import NoReturn

import pytest

from tachikoma_metrics.page import worker_connections, worker_server
from tachikoma_metrics.page.worker_connections import Connections
from tachikoma_metrics.store import STORE, Incomplete
from tachikoma_metrics.testing import sample_value
from tests.services.processes import eventually, free_port

SCRAPER, STRANGER = "127.0.0.1", "127.1.0.9"
"""Loopback addresses, in two /24 networks."""
SCRAPES_REFUSED = "tachikoma_metrics_scrapes_refused_total"

Connect = Callable[..., socket.socket]


class Worker:
    """A worker's endpoint, and the clients that connect to it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._sockets = contextlib.ExitStack()

    def connect(self, source: str = SCRAPER, sent: str = "") -> socket.socket:
        """Connect from an address, and send the beginning of a request."""
        connection = socket.create_connection(
            ("127.0.0.1", self.port), 30, source_address=(source, 0)
        )
        self._sockets.enter_context(connection)
        with contextlib.suppress(OSError):
            connection.sendall(sent.encode())
        return connection

    def scrape(self, source: str = SCRAPER, path: str = "/metrics", *headers: str) -> str:
        """Return the whole response, with its head."""
        lines = [f"GET {path} HTTP/1.0", *headers, "", ""]
        return received(self.connect(source, "\r\n".join(lines)))

    def close(self) -> None:
        self._sockets.close()


def received(connection: socket.socket) -> str:
    response = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            response += part
    return response.decode()


def status(response: str) -> str:
    return " ".join(response.split(" ")[1:2])


@pytest.fixture
def worker(settings, caplog: pytest.LogCaptureFixture) -> Iterator[Worker]:
    caplog.set_level("INFO", "tachikoma_metrics")
    port = free_port()
    settings.TACHIKOMA_METRICS = {"WORKER_PORT": port}
    server = worker_server.serve_metrics()
    assert server is not None
    worker = Worker(port)
    yield worker
    worker.close()
    shut_down(server)


def shut_down(server: worker_server.MetricsServer | None) -> None:
    """End a server, which checks for that twice a second and after each connection."""
    assert server is not None
    ending = threading.Thread(target=server.shutdown)
    ending.start()
    while ending.is_alive():
        with contextlib.suppress(OSError), socket.socket(server.address_family) as client:
            client.connect(server.server_address[:2])
        ending.join(0.01)
    server.server_close()


@pytest.fixture
def guarded(worker: Worker, settings) -> Worker:
    """Allow the address of the scraper only."""
    settings.TACHIKOMA_METRICS = {
        "WORKER_PORT": worker.port,
        "ALLOWED_NETWORKS": [f"{SCRAPER}/32"],
    }
    return worker


def test_a_scraper_gets_the_metrics(worker: Worker):
    response = worker.scrape()

    assert status(response) == "200"
    assert "tachikoma_metrics_info" in response


def test_the_url_is_logged(worker: Worker, caplog: pytest.LogCaptureFixture):
    messages = [record.getMessage() for record in caplog.get_records("setup")]
    assert f"Serving metrics on http://0.0.0.0:{worker.port}/metrics" in messages


def test_a_port_in_use_is_no_error_and_is_taken_over(
    settings, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    caplog.set_level("INFO", "tachikoma_metrics")
    monkeypatch.setattr(worker_server, "_SECONDS_BETWEEN_TRIES", 0.01)
    with socket.create_server(("", 0)) as another:
        port = another.getsockname()[1]
        settings.TACHIKOMA_METRICS = {"WORKER_PORT": port}
        assert worker_server.serve_metrics() is None
        assert worker_server.serve_metrics() is None

    eventually(lambda: worker_server._Port.server is not None, 10)
    with contextlib.closing(Worker(port)) as successor:
        assert "tachikoma_metrics_info" in successor.scrape()
    shut_down(worker_server._Port.server)
    levels = [record.levelname for record in caplog.records if "WORKER_PORT" in record.msg]
    assert levels == ["INFO"]
    assert sample_value("tachikoma_metrics_errors_total", source="worker_page") in {None, 0}


def test_an_address_that_is_not_of_this_host_is_an_error(
    settings, caplog: pytest.LogCaptureFixture
):
    settings.TACHIKOMA_METRICS = {"WORKER_PORT": free_port(), "WORKER_HOST": "192.0.2.1"}

    assert worker_server.serve_metrics() is None

    assert "Cannot serve metrics on port" in caplog.text
    assert sample_value("tachikoma_metrics_errors_total", source="worker_page") == 1


@pytest.mark.parametrize(("host", "other"), [("127.0.0.1", "127.0.0.2"), ("::1", "127.0.0.1")])
def test_one_address_is_served(settings, caplog: pytest.LogCaptureFixture, host: str, other: str):
    caplog.set_level("INFO", "tachikoma_metrics")
    port = free_port()
    settings.TACHIKOMA_METRICS = {"WORKER_PORT": port, "WORKER_HOST": host}
    server = worker_server.serve_metrics()
    try:
        with socket.create_connection((host, port)) as client:
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            assert status(received(client)) == "200"
        with pytest.raises(OSError, match="refused"):
            socket.create_connection((other, port))
    finally:
        shut_down(server)


def test_incomplete_metrics_are_not_served(worker: Worker, monkeypatch: pytest.MonkeyPatch):
    def unreadable() -> NoReturn:
        raise Incomplete("/shm/slot-1", OSError(24, "Too many open files"))

    monkeypatch.setattr(STORE, "readings", unreadable)

    response = worker.scrape()

    assert status(response) == "503"
    assert "\r\nRetry-After: 1\r\n" in response
    assert "\r\nCache-Control: private, no-store\r\n" in response
    assert response.endswith("/shm/slot-1 cannot be read: [Errno 24] Too many open files.\n")


@pytest.mark.parametrize("path", ["/metrics", "/elsewhere"])
def test_every_response_has_the_security_headers(worker: Worker, path: str):
    response = worker.scrape(SCRAPER, path)

    for header in (
        "Cache-Control: private, no-store",
        "X-Content-Type-Options: nosniff",
        "Cross-Origin-Resource-Policy: same-origin",
    ):
        assert f"\r\n{header}\r\n" in response


def test_a_browser_under_a_foreign_host_is_rejected(worker: Worker):
    foreign = worker.scrape(SCRAPER, "/metrics", "Host: evil.example", "Accept-Language: en")

    assert status(foreign) == "403"
    assert status(worker.scrape(SCRAPER, "/metrics", "Host: evil.example")) == "200"


def test_a_proxy_that_names_no_client_is_rejected(worker: Worker):
    assert status(worker.scrape(SCRAPER, "/metrics", "Via: 1.1 proxy")) == "403"


def test_a_rejected_peer_gets_the_reason_and_is_counted(guarded: Worker):
    response = guarded.scrape(STRANGER)

    assert status(response) == "403"
    assert "Cache-Control: private, no-store" in response
    assert "ALLOWED_NETWORKS" in response
    assert sample_value(SCRAPES_REFUSED, reason="address") == 1


def test_rejected_peers_take_no_connection(guarded: Worker):
    for _ in range(40):
        guarded.connect(STRANGER, "GET /metrics HTTP/1.1\r\nX-Slow: ")

    assert status(guarded.scrape()) == "200"


@pytest.mark.parametrize("source", [STRANGER, SCRAPER], ids=["others", "its own network"])
def test_clients_that_send_no_request_do_not_block_scrapers(worker: Worker, source: str):
    for _ in range(40):
        worker.connect(source, "GET /metrics HTTP/1.1\r\nX-Slow: ")

    assert status(worker.scrape()) == "200"


def test_a_client_that_sends_its_request_too_slowly_is_disconnected(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
):
    slow = worker.connect(SCRAPER, "GET /metrics HTTP/1.1\r\nX-Slow: ")
    # Connections are accepted in order, so the slow one has been.
    assert status(worker.scrape()) == "200"
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 6)
    monkeypatch.setattr(worker_connections, "time", later)

    assert received(slow) == ""


def test_a_connection_is_released_if_no_thread_can_be_started(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
):
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        assert {worker.scrape() for _ in range(40)} == {""}

    assert status(worker.scrape()) == "200"
    assert sample_value("tachikoma_metrics_errors_total", source="worker_page") == 40


def test_the_connections_of_a_network_are_limited():
    connections = Connections()

    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(40)]
        networks = itertools.cycle(["192.0.2.0/24"] * 12 + ["198.51.100.0/24"] * 12)
        admitted = []
        for one, network in zip(sockets, networks, strict=False):
            admitted.append(connections.begin(one, network))
            connections.start_scrape(one)

        assert admitted == [True] * 8 + [False] * 4 + [True] * 8 + [False] * 20
        connections.end(sockets[0])
        assert connections.begin(sockets[30], "203.0.113.0/24")
