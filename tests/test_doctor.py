"""``manage.py metrics_doctor``."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.management import call_command
from django.test import override_settings

from tachikoma_metrics import METRICS, update_business_metrics

Doctor = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Return what asks the doctor, and gets the exit code and the findings by subject."""

    def ask(*arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
        code = 0
        try:
            call_command("metrics_doctor", "--json", *arguments)
        except SystemExit as error:
            code = int(error.code or 0)
        told = json.loads(capsys.readouterr().out)
        assert told["is_wrong"] is bool(code)
        return code, {finding["about"]: finding for finding in told["findings"]}

    return ask


class _Page(BaseHTTPRequestHandler):
    status = 200
    body = ""

    def do_GET(self) -> None:
        body = self.body.encode()
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def served() -> Iterator[Callable[..., str]]:
    """Serve a page on loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Page)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()

    def serve(body: str, status: int = 200) -> str:
        _Page.body, _Page.status = body, status
        return f"http://127.0.0.1:{server.server_address[1]}/metrics"

    yield serve
    server.shutdown()
    thread.join()
    server.server_close()


def test_all_is_fine(doctor: Doctor):
    code, findings = doctor()

    assert code == 0
    assert {"settings", "store", "access", "cost", "processes", "faults", "series"} <= set(findings)
    assert findings["settings"]["state"] == findings["faults"]["state"] == "fine"


def test_it_speaks_to_people(capsys: pytest.CaptureFixture[str]):
    call_command("metrics_doctor", "--no-color")

    told = capsys.readouterr().out
    assert " fine  settings: The checks found nothing wrong.\n" in told
    assert "access: The endpoint may be read by: networks private.\n" in told


@pytest.mark.parametrize(
    ("declared", "about", "state", "said"),
    [
        ({"ENABLED": False}, "settings", "wrong", "`ENABLED`"),
        ({"NAMESPACE": "no good"}, "settings", "wrong", "E107"),
        ({"ALLOWED_NETWORKS": ["*"]}, "access", "look", "networks *"),
        ({"TOKENS": ["a-secret-of-ours"]}, "access", "fine", "; 1 token."),
        ({"STORE_DIR": None}, "store", "look", "memory of each process"),
        ({"STORE_DIR": "/dev/null/store"}, "settings", "look", "W008"),
        ({"STORE_DIR": "/dev/null/store"}, "store", "wrong", "No directory"),
    ],
)
def test_what_is_wrong_with_the_settings(
    doctor: Doctor, declared: dict[str, object], about: str, state: str, said: str
):
    with override_settings(TACHIKOMA_METRICS=declared):
        code, findings = doctor()

    assert findings[about]["state"] == state
    assert said in findings[about]["says"]
    assert code == (1 if "wrong" in {one["state"] for one in findings.values()} else 0)


def test_a_secret_is_not_told(doctor: Doctor):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": ["a-secret-of-ours"]}):
        assert "a-secret-of-ours" not in str(doctor())


def test_faults_and_full_families_are_told(doctor: Doctor):
    with override_settings(TACHIKOMA_METRICS={"MAX_SERIES": 3}):
        for number in range(5):
            METRICS.cache_hits_total.inc()
            METRICS.file_changes_total.labels("create", str(number)).inc()
        METRICS.fault("tests", ValueError("on purpose"))
        code, findings = doctor()

    assert code == 1
    assert "1 in tests" in findings["faults"]["says"]
    assert "file_changes_total has 3 label sets" in findings["series"]["says"]


@pytest.mark.django_db
def test_old_counts_are_told(doctor: Doctor):
    declared = {"BUSINESS_METRICS": {"missions_total": {"model": "missions.Mission"}}}
    with override_settings(TACHIKOMA_METRICS=declared):
        code, findings = doctor()
        assert (code, findings["business"]["state"]) == (1, "wrong")
        update_business_metrics()
        code, findings = doctor()

    assert (code, findings["business"]["state"]) == (0, "fine")


def test_a_server_is_asked(doctor: Doctor, served: Callable[..., str]):
    code, findings = doctor("--url", served(METRICS.encode()))

    assert code == 0
    assert findings["page"]["state"] == "fine"
    assert "1 live process." in findings["processes"]["says"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("not for you\n", 403, "answers 403: not for you"),
        ("<html>", 200, "not in the text format"),
        ("up 1\n", 200, "not that of tachikoma_metrics"),
    ],
)
def test_what_a_server_answers_instead_is_told(
    doctor: Doctor, served: Callable[..., str], body: str, status: int, said: str
):
    code, findings = doctor("--url", served(body, status))

    assert code == 1
    assert said in findings["page"]["says"]


def test_another_version_is_told(doctor: Doctor, served: Callable[..., str]):
    code, findings = doctor("--url", served('tachikoma_metrics_info{version="0.0.1"} 1\n'))

    assert (code, findings["page"]["state"]) == (0, "look")


def test_a_server_that_is_not_there_is_told(doctor: Doctor):
    code, findings = doctor("--url", "http://127.0.0.1:1/metrics")

    assert code == 1
    assert "cannot be read" in findings["page"]["says"]
