"""Text files for node_exporter, and pushes to a Pushgateway."""

from __future__ import annotations

import os
import re
import socket
import stat
import threading
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tachikoma_metrics import METRICS
from tests.services.processes import free_port

pytestmark = pytest.mark.usefixtures("store_of_the_test")


def test_a_text_file_is_replaced_whole_and_has_no_timestamps(tmp_path: Path):
    METRICS.http_requests_total.labels("GET", "/file", "200").inc()
    file = tmp_path / "app.prom"
    file.write_text("old")
    file.chmod(0o640)

    call_command("metrics_push", "textfile", str(file), "-v", "0")

    text = file.read_text()
    assert 'http_requests_total{method="GET",path="/file",status="200"} ' in text
    assert all(
        len(line.rpartition("} ")[2].split()) == 1
        for line in text.splitlines()
        if "{" in line and line[0] != "#"
    )
    assert file.stat().st_mode & 0o777 == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["app.prom"]


def test_a_text_file_has_no_metric_that_node_exporter_has(tmp_path: Path):
    call_command("metrics_push", "textfile", str(tmp_path / "app.prom"), "-v", "0")

    text = (tmp_path / "app.prom").read_text()
    assert "# TYPE tachikoma_metrics_info gauge" in text
    assert not re.search("^process_|^# TYPE process_", text, re.MULTILINE)


def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path):
    pipe = tmp_path / "pipe.prom"
    os.mkfifo(pipe)

    with pytest.raises(CommandError, match="it is not a regular file"):
        call_command("metrics_push", "textfile", str(pipe))
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_symbolic_link_to_a_text_file_stays_one(tmp_path: Path):
    (tmp_path / "folder").mkdir()
    link = tmp_path / "app.prom"
    link.symlink_to(tmp_path / "folder" / "app.prom")

    call_command("metrics_push", "textfile", str(link), "-v", "0")

    assert link.is_symlink()
    assert "tachikoma_metrics_info" in (tmp_path / "folder" / "app.prom").read_text()


def test_a_name_that_node_exporter_does_not_read_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    call_command("metrics_push", "textfile", str(tmp_path / "app.txt"))

    assert "its name must end in .prom" in capsys.readouterr().err


@dataclass
class Gateway:
    """What a Pushgateway was asked, and how it answers."""

    url: str = ""
    status: int = 200
    body: bytes = b""
    requests: list[tuple[str, str, str, str | None]] = field(default_factory=list)


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    found = Gateway()
    for name in ("USERNAME", "PASSWORD", "TOKEN"):
        monkeypatch.delenv(f"PUSHGATEWAY_{name}", raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            authorization = self.headers["Authorization"]
            found.requests.append((self.command, self.path, body, authorization))
            self.send_response(found.status)
            self.send_header("Content-Length", str(len(found.body)))
            self.end_headers()
            self.wfile.write(found.body)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield found
        server.shutdown()
        thread.join()


def push_to_gateway(url: str, *options: str) -> None:
    call_command("metrics_push", "gateway", url, "--job", "shop", "-v", "0", *options)


def test_a_gateway_gets_the_group(gateway: Gateway):
    METRICS.http_requests_total.labels("GET", "/gateway", "200").inc()

    push_to_gateway(gateway.url, "--grouping", "instance=b")

    ((method, path, body, authorization),) = gateway.requests
    assert (method, path) == ("PUT", "/metrics/job/shop/instance/b")
    assert 'http_requests_total{method="GET",path="/gateway",status="200"} ' in body
    assert authorization is None


@pytest.mark.parametrize(
    ("in_url", "variables", "scheme", "credentials"),
    [
        ("user:p%40ss@", {}, "Basic", b"user:p@ss"),
        ("", {"USERNAME": "user", "PASSWORD": "p@ss"}, "Basic", b"user:p@ss"),
        ("user@", {"PASSWORD": "secret"}, "Basic", b"user:secret"),
        ("", {"USERNAME": "user", "PASSWORD": "a", "TOKEN": "t"}, "Basic", b"user:a"),
        ("", {"TOKEN": "token\n"}, "Bearer", b"token"),
    ],
)
def test_credentials_of_a_gateway_are_sent_and_not_shown(
    gateway: Gateway,
    monkeypatch: pytest.MonkeyPatch,
    in_url: str,
    variables: dict[str, str],
    scheme: str,
    credentials: bytes,
):
    for name, value in variables.items():
        monkeypatch.setenv(f"PUSHGATEWAY_{name}", value)
    gateway.status = 401
    gateway.body = b"no such\nuser"
    host = gateway.url.removeprefix("http://")

    with pytest.raises(CommandError) as raised:
        push_to_gateway(f"http://{in_url}{host}")

    text = credentials.decode() if scheme == "Bearer" else b64encode(credentials).decode()
    assert gateway.requests[0][3] == f"{scheme} {text}"
    expected = f"The push to {gateway.url} failed: status 401 Unauthorized: no such user"
    assert str(raised.value) == expected


def test_what_is_no_gateway_ends_with_one_sentence(gateway: Gateway):
    def says(*arguments: str) -> str:
        with pytest.raises(CommandError) as raised:
            push_to_gateway(*arguments)
        return str(raised.value)

    nobody = f"http://127.0.0.1:{free_port()}"
    assert says(nobody) == f"The push to {nobody} failed: Connection refused"
    assert "The push to http://a..b failed" in says("http://a..b")
    assert says("user:secret@a b") == "'http://a b' is no URL. Example: http://pushgateway:9091"
    for pair in ("b", "=b", "job=b", "a-b=c", "__a=b"):
        assert "name of a label" in says(gateway.url, "--grouping", pair)
    assert "must not be empty" in says(gateway.url, "--job", " ")
    assert gateway.requests == []


def test_what_speaks_no_http_is_no_gateway():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"-ERR unknown command\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(CommandError, match="failed: BadStatusLine"):
            push_to_gateway(f"http://127.0.0.1:{server.getsockname()[1]}")
        thread.join()
