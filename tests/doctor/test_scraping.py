"""How ``manage.py metrics_doctor --url`` scrapes: tokens, redirects, URLs and limits."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest
from django.test import override_settings

from tachikoma_metrics import METRICS
from tachikoma_metrics.doctor import of_server, scraping
from tests.doctor.endpoint import Doctor, Endpoint, Serve


def test_a_token_of_the_settings_is_sent(doctor: Doctor, served: Serve):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["first-0000", "second-000"]}):
        code, _ = doctor("--url", served(METRICS.encode()))

    assert code == 0
    assert Endpoint.tokens == ["Bearer first-0000"]


def test_a_token_of_a_file_in_the_settings_is_sent(doctor: Doctor, served: Serve, tmp_path: Path):
    (tmp_path / "token").write_text("of-a-file-0000\n")
    with override_settings(TACHIKOMA_METRICS={"TOKENS": [f"file:{tmp_path}/token"]}):
        doctor("--url", served(METRICS.encode()))

    assert Endpoint.tokens == ["Bearer of-a-file-0000"]


def test_a_given_token_is_preferred(
    doctor: Doctor, served: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "token").write_text("of-a-file-0000\n")
    monkeypatch.setenv("TACHIKOMA_METRICS_TOKEN", "of-the-environment")
    url = served(METRICS.encode())
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["of-the-settings"]}):
        doctor("--url", url)
        doctor("--url", url, "--token-file", f"{tmp_path}/token")
        doctor("--url", url, "--token", "of-the-command-line")

    assert Endpoint.tokens == [
        "Bearer of-the-environment",
        "Bearer of-a-file-0000",
        "Bearer of-the-command-line",
    ]


def test_a_rejected_token_is_an_error(doctor: Doctor, served: Serve):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["a-secret-of-ours"]}):
        code, findings = doctor("--url", served("No.", status=401))

    assert code == 1
    assert "The server rejects the token" in findings["endpoint"]["hint"]
    assert "--token-file" in findings["endpoint"]["hint"]
    assert "a-secret-of-ours" not in str(findings)


def test_a_token_that_no_header_can_carry_is_not_sent_nor_shown(doctor: Doctor, served: Serve):
    code, findings = doctor("--url", served("up 1\n"), "--token", "s3cr3t\nX-Evil: 1")

    assert code == 1
    assert "s3cr3t" not in str(findings)
    assert Endpoint.tokens == []


@pytest.mark.parametrize("location", ["http://127.0.0.2:1/stolen", "file:///etc/passwd", "/x"])
def test_no_redirect_is_followed(doctor: Doctor, served: Serve, location: str):
    code, findings = doctor("--url", served("", 302, location), "--token", "s3cr3t-token")

    assert code == 1
    assert f"responds with 302, a redirect to {location}" in findings["endpoint"]["message"]
    assert Endpoint.tokens == ["Bearer s3cr3t-token"]


def test_no_proxy_gets_a_token(doctor: Doctor, served: Serve, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", served("up 1\n"))

    doctor("--url", "http://localhost:1/metrics", "--token", "s3cr3t-token")

    assert Endpoint.tokens == []


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("127.0.0.1:18500", "try http://127.0.0.1:18500/metrics."),
        ("localhost/metrics", "try http://localhost/metrics."),
        ("file:///etc/passwd", "begin with http:// or https://"),
        ("ftp://127.0.0.1/metrics", "begin with http:// or https://"),
        ("http://", "begin with http:// or https://"),
        ("http://127.0.0.1:99999999/", "begin with http:// or https://"),
        ("http://[::1/metrics", "begin with http:// or https://"),
        ("/metrics", "begin with http:// or https://"),
    ],
)
def test_an_invalid_url_is_an_error(doctor: Doctor, url: str, remedy: str):
    code, findings = doctor("--url", url)

    assert code == 1
    assert remedy in findings["endpoint"]["hint"]


def test_a_response_without_end_is_not_read_to_its_end(
    doctor: Doctor, served: Serve, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scraping, "LARGEST_RESPONSE", 1_000_000)
    code, findings = doctor("--url", served("", ends=False))

    assert code == 1
    assert "more than 1 MB" in findings["endpoint"]["message"]


def test_a_server_that_never_responds_is_not_waited_for():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/metrics"
        (finding,) = of_server(url, seconds=0.05)

    assert finding.status == "error"
    assert "has not responded completely within 0.05 seconds" in finding.message


def test_a_response_that_is_not_http_is_an_error(doctor: Doctor):
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1000)
                client.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        code, findings = doctor("--url", f"http://127.0.0.1:{server.getsockname()[1]}/metrics")
        thread.join()

    assert code == 1
    assert "cannot be read" in findings["endpoint"]["message"]
