"""Real servers, real sockets: what clients do that a test client cannot."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import uuid
from collections import Counter

import pytest

from tachikoma_metrics.exposition.parse import parse_text
from tests.services.conftest import Server
from tests.services.pages import read
from tests.services.processes import eventually, get
from tests.services.sites import total

MISSIONS = "/api/v1/missions/"


def requests(server: Server) -> dict[tuple[str, str, str], float]:
    return {
        (dict(labels)["method"], dict(labels)["path"], dict(labels)["status"]): value
        for (name, labels), value in read(server.page()).items()
        if name == "http_requests_total"
    }


def raw(server: Server, request: bytes) -> bytes:
    """Send these bytes and return what comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
        return received


def request(line: str, *headers: str) -> bytes:
    return "\r\n".join([line, "Host: 127.0.0.1", "Connection: close", *headers, "", ""]).encode()


def test_a_scraper_may_address_the_server_by_any_name(lasting_server: Server):
    answer = raw(
        lasting_server,
        b"GET /metrics HTTP/1.1\r\nHost: pod-7.internal\r\nConnection: close\r\n\r\n",
    )

    assert answer.startswith(b"HTTP/1.1 200")
    assert b"http_requests_in_flight 0.0" in answer


def test_head_has_no_body(lasting_server: Server):
    answer = raw(lasting_server, request("HEAD /metrics HTTP/1.1"))
    head, _, body = answer.partition(b"\r\n\r\n")

    assert head.startswith(b"HTTP/1.1 200")
    assert body == b""


@pytest.mark.parametrize(
    "headers",
    [
        ["Content-Length: many"],
        ["Content-Length: -1"],
        ["Content-Length: 1, 1"],
        ["Content-Length: 0", "Content-Length: 7"],
        ["Content-Length: +0"],
    ],
    ids=str,
)
def test_a_malformed_length_never_breaks_the_page(lasting_server: Server, headers: list[str]):
    before = requests(lasting_server).get(("GET", MISSIONS, "200"), 0)
    # One byte of body for servers that take "1, 1" for a length of one.
    raw(lasting_server, request(f"GET {MISSIONS} HTTP/1.1", *headers) + b"x")

    get(lasting_server.url + MISSIONS)
    assert requests(lasting_server)["GET", MISSIONS, "200"] > before
    assert total(read(lasting_server.page()), "tachikoma_metrics_errors_total") == 0


def test_odd_methods_and_paths_are_bounded(lasting_server: Server):
    before = Counter(requests(lasting_server))
    for number in range(30):
        raw(lasting_server, request(f"BREW{number} /%ff%00%{number:02x}/{number} HTTP/1.1"))

    counted = Counter(requests(lasting_server)) - before
    assert set(counted) <= {("other", "<unmatched>", "404"), ("other", "<unmatched>", "400")}
    assert sum(counted.values()) == 30


def test_a_stream_is_counted_with_all_its_bytes(lasting_server: Server):
    mission = json.loads(get(lasting_server.url + MISSIONS)[1])["missions"][0]["id"]
    status, body = get(f"{lasting_server.url}{MISSIONS}{mission}/export/")

    assert status == 200
    # No other test has it stream.
    labels = frozenset({("method", "GET"), ("path", "/api/v1/missions/:id/export/")})
    eventually(lambda: ("GET", "/api/v1/missions/:id/export/", "200") in requests(lasting_server))
    page = read(lasting_server.page())
    assert page["http_response_size_bytes_sum", labels] == len(body)


def test_a_client_that_leaves_in_the_middle_is_recorded_as_such(
    gunicorn: Server, environment: dict[str, str]
):
    mission = json.loads(get(gunicorn.url + MISSIONS)[1])["missions"][0]["id"]
    add_specs(environment["DATABASE_PATH"], mission, 50_000)
    path = f"{MISSIONS}{mission}/export/"

    with socket.create_connection(("127.0.0.1", gunicorn.port), timeout=10) as connection:
        connection.sendall(request(f"GET {path} HTTP/1.1"))
        connection.recv(1000)
        assert "http_requests_in_flight 1.0" in gunicorn.page()

    route = "/api/v1/missions/:id/export/"
    eventually(lambda: requests(gunicorn).get(("GET", route, "499")) == 1)
    assert "http_requests_in_flight 0.0" in gunicorn.page()


def add_specs(database: str, mission: str, count: int) -> None:
    rows = ((uuid.uuid4().hex, f"Spec {n}", uuid.UUID(mission).hex) for n in range(count))
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.executemany(
            "INSERT INTO missions_spec (id, title, status, created_at, mission_id) "
            "VALUES (?, ?, 'planned', '2026-01-01 00:00:00', ?)",
            rows,
        )


def test_pages_are_read_here_as_prometheus_client_reads_them(lasting_server: Server):
    raw(lasting_server, request(r'GET /"quoted\" HTTP/1.1'))
    text = lasting_server.page() + 'odd{one="a\\\\nb\\"}, {\\n",two=""} -Inf\n'

    page = read(text)

    assert len(page) > 50
    assert page == parse_text(text)


@pytest.mark.parametrize("text", ["one", "one 1 2", "one two", 'one{a="b"c="d"} 1', "one 1\none 2"])
def test_what_is_no_page_is_not_read_here(text: str):
    with pytest.raises(ValueError, match=r"."):
        read(text)
