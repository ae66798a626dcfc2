"""The endpoint at ``WORKER_PORT``: who is answered, and who keeps others from it."""

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

from tachikoma_metrics.page import worker_server
from tachikoma_metrics.page.worker_server import Connections
from tachikoma_metrics.store import STORE, Incomplete
from tachikoma_metrics.testing import sample_value
from tests.services.processes import free_port

SCRAPER, STRANGER = "127.0.0.1", "127.1.0.9"
"""Addresses of loopback, in two networks of 256."""
REFUSED = "tachikoma_metrics_scrapes_refused_total"

Connect = Callable[..., socket.socket]


class Worker:
    """A worker's endpoint, and what connects to it."""

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

    def ask(self, source: str = SCRAPER, path: str = "/metrics", *headers: str) -> str:
        """Return the whole answer, with its head."""
        lines = [f"GET {path} HTTP/1.0", *headers, "", ""]
        return received(self.connect(source, "\r\n".join(lines)))

    def close(self) -> None:
        self._sockets.close()


def received(connection: socket.socket) -> str:
    answer = b""
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            answer += part
    return answer.decode()


def status(answer: str) -> str:
    return " ".join(answer.split(" ")[1:2])


@pytest.fixture
def worker(settings) -> Iterator[Worker]:
    port = free_port()
    settings.TACHIKOMA_METRICS = {"WORKER_PORT": port}
    server = worker_server.serve_metrics()
    assert server is not None
    worker = Worker(port)
    yield worker
    worker.close()
    # It looks twice a second whether it is to end, and after each connection.
    ending = threading.Thread(target=server.shutdown)
    ending.start()
    while ending.is_alive():
        with contextlib.suppress(OSError):
            worker.connect().close()
        ending.join(0.01)
    server.server_close()


@pytest.fixture
def guarded(worker: Worker, settings) -> Worker:
    """Serve the scraper alone."""
    settings.TACHIKOMA_METRICS = {
        "WORKER_PORT": worker.port,
        "ALLOWED_NETWORKS": [f"{SCRAPER}/32"],
    }
    return worker


def test_a_scraper_gets_the_metrics(worker: Worker):
    answer = worker.ask()

    assert status(answer) == "200"
    assert "tachikoma_metrics_info" in answer


def test_a_page_that_cannot_be_complete_is_not_served(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
):
    def unreadable() -> NoReturn:
        raise Incomplete("/shm/slot-1", OSError(24, "Too many open files"))

    monkeypatch.setattr(STORE, "readings", unreadable)

    answer = worker.ask()

    assert status(answer) == "503"
    assert "\r\nRetry-After: 1\r\n" in answer
    assert "\r\nCache-Control: private, no-store\r\n" in answer
    assert answer.endswith("/shm/slot-1 cannot be read: [Errno 24] Too many open files.\n")


@pytest.mark.parametrize("path", ["/metrics", "/elsewhere"])
def test_every_answer_is_kept_from_caches_and_from_pages_of_others(worker: Worker, path: str):
    answer = worker.ask(SCRAPER, path)

    for header in (
        "Cache-Control: private, no-store",
        "X-Content-Type-Options: nosniff",
        "Cross-Origin-Resource-Policy: same-origin",
    ):
        assert f"\r\n{header}\r\n" in answer


def test_a_page_of_a_foreign_host_may_not_read(worker: Worker):
    foreign = worker.ask(SCRAPER, "/metrics", "Host: evil.example", "Accept-Language: en")

    assert status(foreign) == "403"
    assert status(worker.ask(SCRAPER, "/metrics", "Host: evil.example")) == "200"


def test_a_proxy_that_names_no_client_is_refused(worker: Worker):
    assert status(worker.ask(SCRAPER, "/metrics", "Via: 1.1 proxy")) == "403"


def test_a_peer_of_no_network_is_told_why_and_counted(guarded: Worker):
    answer = guarded.ask(STRANGER)

    assert status(answer) == "403"
    assert "Cache-Control: private, no-store" in answer
    assert "ALLOWED_NETWORKS" in answer
    assert sample_value(REFUSED, reason="address") == 1


def test_peers_of_no_network_take_no_place(guarded: Worker):
    for _ in range(40):
        guarded.connect(STRANGER, "GET /metrics HTTP/1.1\r\nX-Slow: ")

    assert status(guarded.ask()) == "200"


@pytest.mark.parametrize("source", [STRANGER, SCRAPER], ids=["others", "its own network"])
def test_clients_that_send_no_request_keep_no_scraper_out(worker: Worker, source: str):
    for _ in range(40):
        worker.connect(source, "GET /metrics HTTP/1.1\r\nX-Slow: ")

    assert status(worker.ask()) == "200"


def test_a_client_that_takes_too_long_to_ask_is_cut_off(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
):
    slow = worker.connect(SCRAPER, "GET /metrics HTTP/1.1\r\nX-Slow: ")
    # Connections are accepted one after the other, so that one was.
    assert status(worker.ask()) == "200"
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 6)
    monkeypatch.setattr(worker_server, "time", later)

    assert received(slow) == ""


def test_a_place_is_given_back_where_no_thread_can_be_had(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
):
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        assert {worker.ask() for _ in range(40)} == {""}

    assert status(worker.ask()) == "200"
    assert sample_value("tachikoma_metrics_errors_total", source="worker_page") == 40


def test_clients_of_a_network_have_so_many_places_and_no_more():
    connections = Connections()

    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(40)]
        networks = itertools.cycle(["192.0.2.0/24"] * 12 + ["198.51.100.0/24"] * 12)
        taken = []
        for one, network in zip(sockets, networks, strict=False):
            taken.append(connections.begin(one, network))
            connections.start_scrape(one)

        assert taken == [True] * 8 + [False] * 4 + [True] * 8 + [False] * 20
        connections.end(sockets[0])
        assert connections.begin(sockets[30], "203.0.113.0/24")
