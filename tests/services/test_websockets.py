"""WebSockets of real servers: clients that come, talk, close, break off, or are refused."""

from __future__ import annotations

import base64
import contextlib
import socket
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.services.pages import Page
from tests.services.processes import answers, eventually, free_port
from tests.services.sites import Site, total

CURRENT = "ws_connections_current"
OPT_IN = "ws_connection_duration_seconds ws_connections_rejected_total ws_disconnects_total"

UVICORN = ["uvicorn", "--port", "{port}", "--lifespan", "off", "--ws"]
SERVERS = {
    "uvicorn, websockets": [*UVICORN, "websockets"],
    "uvicorn, websockets-sansio": [*UVICORN, "websockets-sansio"],
    "uvicorn, wsproto": [*UVICORN, "wsproto"],
    "daphne": ["daphne", "--bind", "127.0.0.1", "--port", "{port}"],
    "hypercorn": ["hypercorn", "--bind", "127.0.0.1:{port}"],
}


@dataclass(frozen=True)
class Served:
    """A server, and what its page said when the test began."""

    port: int
    name: str
    whole: Callable[[], Page]
    before: Page

    def page(self) -> Page:
        """Return what was counted since then, and what is in progress now."""
        return {
            series: value - (0 if series[0] == CURRENT else self.before.get(series, 0))
            for series, value in self.whole().items()
            if series[0] == CURRENT or value != self.before.get(series)
        }


@pytest.fixture(scope="module", params=[*SERVERS], ids=str)
def running_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Site]]:
    home = tmp_path_factory.mktemp("sockets").resolve() / "site"
    site = Site(home, EXTRA_METRICS=OPT_IN)
    site.port = free_port()
    command = [part.format(port=site.port) for part in SERVERS[request.param]]
    with contextlib.ExitStack() as stack:
        stack.callback(site.clear)
        with site.running("server", *command, "depot.sockets:application"):
            eventually(lambda: answers(f"{site.url}/metrics"))
            yield request.param, site


@pytest.fixture
def served(running_server: tuple[str, Site]) -> Served:
    name, site = running_server
    return Served(site.port, name, site.page, site.page())


def opened(server: Served, path: str) -> ClientConnection:
    return connect(f"ws://127.0.0.1:{server.port}{path}", open_timeout=10, close_timeout=5)


def talk(server: Served, *messages: str | bytes, path: str = "/echo", code: int = 1000) -> None:
    """Send messages, each of which comes back, and close."""
    with opened(server, path) as client:
        for message in messages:
            client.send(message)
            assert client.recv(timeout=10) == message
        client.close(code)


def have_closed(server: Served, message: str) -> None:
    """Send a message that has the application end the connection, or end itself."""
    with opened(server, "/echo") as client:
        client.send(message)
        # daphne keeps a connection open whose application is gone.
        with contextlib.suppress(ConnectionClosed, TimeoutError):
            client.recv(timeout=0.5)


def be_refused(server: Served, path: str, *statuses: int) -> None:
    with pytest.raises(InvalidStatus) as refused:
        opened(server, path)
    assert refused.value.response.status_code in statuses


def break_off(server: Served, path: str, *, by_reset: bool) -> None:
    """Close the socket of an open connection without a close frame."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(upgrade(path))
        assert client.recv(4096).startswith(b"HTTP/1.1 101")
        if by_reset:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def upgrade(path: str) -> bytes:
    key = base64.b64encode(bytes(16)).decode()
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def current(server: Served) -> float:
    return total(server.page(), CURRENT)


def by_label(page: Page, name: str) -> dict[str, float]:
    """Return the samples of a family with one label, by its value."""
    return {
        value: amount
        for (found, labels), amount in page.items()
        for _, value in labels
        if found == name
    }


def test_all_that_may_become_of_a_connection(served: Served):
    talk(served, "a", b"b", "c")
    talk(served, "d", code=4321)
    for by_reset in (False, True):
        break_off(served, "/echo", by_reset=by_reset)
    for message in ("close", "raise", "return", "be cancelled"):
        have_closed(served, message)
    be_refused(served, "/reject", 403)
    be_refused(served, "/fail", 403, 500)
    eventually(lambda: current(served) == 0)

    page = served.page()
    assert total(page, "ws_connections_total") == 8
    assert by_label(page, "ws_messages_received_total") == {"text": 7, "binary": 1}
    assert by_label(page, "ws_messages_sent_total") == {"text": 3, "binary": 1}
    assert by_label(page, "ws_connections_rejected_total") == {"closed": 1, "error": 1}
    assert total(page, "ws_connection_duration_seconds_count") == 8
    # hypercorn tells no code of a client that closed; of one that broke off, servers tell
    # one or the other.
    told = 0 if served.name == "hypercorn" else 1
    ended = by_label(page, "ws_disconnects_total")
    broken_off = ended.pop("1005", 0) + ended.pop("1006")
    assert broken_off == 6 - 2 * told
    assert ended == {"1011": 1, "other": 1 + told} | ({"1000": 1} if told else {})
    assert total(page, "http_requests_total") == 0
    assert total(page, "tachikoma_metrics_errors_total") == 0


def test_a_connection_survives_messages_that_the_server_refuses(served: Served):
    with opened(served, "/echo") as client:
        for message in ("misbehave", "a", "misbehave", "b"):
            client.send(message)
            assert client.recv(timeout=10) == message
        assert current(served) == 1
    eventually(lambda: current(served) == 0)

    page = served.page()
    code = "1006" if served.name == "hypercorn" else "1000"
    assert by_label(page, "ws_messages_sent_total") == {"text": 4}
    assert by_label(page, "ws_disconnects_total") == {code: 1}
    assert total(page, "ws_connections_total") == 1


def test_a_client_may_leave_before_it_is_accepted(served: Served):
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as client:
        client.sendall(upgrade("/hesitate"))
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):
            client.recv(1)

    eventually(lambda: by_label(served.page(), "ws_connections_rejected_total") == {"left": 1}, 8)


def test_a_connection_is_over_when_its_client_left(served: Served):
    with opened(served, "/linger"):
        assert current(served) == 1

    # The app cleans up for longer.
    eventually(lambda: current(served) == 0)
    be_refused(served, "/release", 403)
    eventually(lambda: by_label(served.page(), "ws_connections_rejected_total") == {"closed": 1})


def test_whoever_only_sends_learns_of_it_at_last(served: Served):
    with contextlib.suppress(ConnectionResetError):
        break_off(served, "/push", by_reset=True)

    eventually(lambda: total(served.page(), "ws_disconnects_total") == 1)
    assert current(served) == 0
