"""What comes of a push, and what a receiver gets."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from email.utils import formatdate
from pathlib import Path

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsPartialSuccess,
    ExportMetricsServiceResponse,
)

from tachikoma_metrics import METRICS, testing
from tachikoma_metrics.push import environment, transport
from tachikoma_metrics.push.outcomes import Outcome
from tachikoma_metrics.push.sender import Sender
from tachikoma_metrics.store import Lease
from tests.push.receiver import Receiver
from tests.services.processes import free_port

pytestmark = pytest.mark.usefixtures("store_of_the_test")


@pytest.fixture
def sender() -> Iterator[Sender]:
    with closing(Sender(Lease("push-lock"))) as sender:
        yield sender


def pushes(outcome: str) -> float:
    return testing.sample_value("tachikoma_metrics_pushes_total", outcome=outcome) or 0.0


def test_a_push_is_counted_and_has_a_time(receiver: Receiver, sender: Sender):
    before = pushes("success")

    assert sender.push() == Outcome("success")

    assert pushes("success") == before + 1
    last = testing.sample_value("tachikoma_metrics_push_last_success_timestamp_seconds")
    assert last is not None
    assert time.time() - 60 < last <= time.time()
    (push,) = receiver.pushes
    assert push.path == "/v1/metrics"
    assert push.headers["content-type"] == "application/x-protobuf"
    assert len(push.times) == 1


def test_no_two_pushes_have_one_time(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
):
    sender.push()
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    sender.push()
    sender.push()

    times = [at for push in receiver.pushes for at in push.times]
    assert len(set(times)) == 3
    assert times == sorted(times)


@pytest.mark.parametrize("compression", ["gzip", "deflate", "none"])
def test_variables_of_opentelemetry_are_followed(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, compression: str
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20abc,x-scope=shop")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", compression)
    monkeypatch.setenv(
        "OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.name=a"
    )
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{receiver.url}/otlp/metrics")
    with closing(Sender(Lease("push-lock"))) as sender:
        sender.push()

    (push,) = receiver.pushes
    assert push.path == "/otlp/metrics"
    assert push.headers["authorization"] == "Bearer abc"
    assert push.headers["x-scope"] == "shop"
    assert push.resource["service.name"] == "shop"
    assert push.resource["deployment.environment.name"] == "test"
    assert len(push.resource["service.instance.id"]) == 36
    assert push.samples


def test_the_instance_is_the_same_for_a_host_and_a_directory(monkeypatch: pytest.MonkeyPatch):
    found = environment.resource("/dev/shm/a")["service.instance.id"]  # noqa: S108  # A name.

    assert environment.resource("/dev/shm/a")["service.instance.id"] == found  # noqa: S108
    assert environment.resource("/dev/shm/b")["service.instance.id"] != found  # noqa: S108
    monkeypatch.setattr("socket.gethostname", lambda: "another")
    assert environment.resource("/dev/shm/a")["service.instance.id"] != found  # noqa: S108


@pytest.mark.parametrize(
    ("status", "headers", "outcome", "retry_after"),
    [
        (429, {"Retry-After": "7"}, "throttled", 7),
        (503, {"Retry-After": "100000"}, "throttled", 300),
        (503, {"Retry-After": "soon"}, "throttled", 0),
        (503, {}, "throttled", 0),
        (400, {}, "rejected", 0),
        (401, {"Retry-After": "7"}, "rejected", 0),
        (307, {"Location": "http://127.0.0.1:1/"}, "rejected", 0),
        (500, {}, "error", 0),
        (502, {}, "error", 0),
    ],
)
def test_each_answer_has_an_outcome_and_is_not_asked_for_twice(
    receiver: Receiver,
    sender: Sender,
    status: int,
    headers: dict[str, str],
    outcome: str,
    retry_after: float,
):
    receiver.status, receiver.answer_headers = status, headers
    before = pushes(outcome)

    found = sender.push()

    assert (found.name, found.retry_after) == (outcome, retry_after)
    assert str(status) in found.reason
    assert pushes(outcome) == before + 1
    assert len(receiver.pushes) == 1


def test_a_date_to_retry_after_is_a_number_of_seconds(receiver: Receiver, sender: Sender):
    receiver.status = 429
    receiver.answer_headers = {"Retry-After": formatdate(time.time() + 120, usegmt=True)}

    assert 100 < sender.push().retry_after <= 120


def test_a_partial_success_is_told_from_a_whole_one(receiver: Receiver, sender: Sender):
    rejected = ExportMetricsPartialSuccess(rejected_data_points=3, error_message="too old")
    receiver.body = ExportMetricsServiceResponse(partial_success=rejected).SerializeToString()

    found = sender.push()

    assert found.name == "partial"
    assert "3 values were rejected: too old" in found.reason


def test_an_answer_that_is_no_message_is_a_success(receiver: Receiver, sender: Sender):
    receiver.body = b"<html>thank you</html>"

    assert sender.push().name == "success"


def test_a_receiver_that_is_down_hangs_and_comes_back_is_told_of_once_each(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    with closing(Sender(Lease("push-lock"))) as sender, caplog.at_level(logging.INFO):
        outcomes = [sender.push()]
        receiver.status = 500
        outcomes += [sender.push(), sender.push()]
        receiver.is_hanging.set()
        outcomes += [sender.push(), sender.push()]
        receiver.is_hanging.clear()
        receiver.status = 200
        METRICS.http_requests_total.labels("GET", "/late", "200").inc(5)
        outcomes += [sender.push(), sender.push()]

    assert [one.name for one in outcomes] == [
        *("success", "error", "error"),
        *("unreachable", "unreachable", "success", "success"),
    ]
    texts = [record.getMessage() for record in caplog.records]
    where = f"{receiver.url}/v1/metrics"
    assert [text.partition(":" if "succeed" not in text else "\n")[0] for text in texts] == [
        *("A push to http", "A push to http"),
        f"Pushes to {where} succeed again.",
    ]
    assert f"{where} failed (error): status 500" in texts[0]
    assert f"{where} failed (unreachable): " in texts[1]
    late = (
        "http_requests_total",
        frozenset({"method": "GET", "path": "/late", "status": "200"}.items()),
    )
    assert receiver.pushes[-1].samples[late] == 5


def test_nobody_there_is_unreachable(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    with closing(Sender(Lease("push-lock"))) as sender:
        assert sender.push()[:2] == ("unreachable", "Connection refused")


def test_a_proxy_that_is_not_there_is_named(receiver: Receiver, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with closing(Sender(Lease("push-lock"))) as sender:
        assert sender.push().reason == "the proxy of the environment: Connection refused"


def test_the_certificates_of_the_variable_are_those_that_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    bundle = tmp_path / "bundle.pem"
    bundle.touch()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"https://127.0.0.1:{free_port()}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", str(tmp_path / "absent.pem"))
    with closing(Sender(Lease("push-lock"))) as sender:
        assert str(tmp_path / "absent.pem") in sender.push().reason


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-protobuf", Status(message="no such\ntenant").SerializeToString()),
        ("text/plain; charset=utf-8", b"no such tenant\n"),
        ("application/json", b"no such tenant"),
    ],
)
def test_the_reason_has_what_the_receiver_says(
    receiver: Receiver, sender: Sender, kind: str, body: bytes
):
    receiver.status, receiver.body = 401, body
    receiver.answer_headers = {"Content-Type": kind}

    assert sender.push().reason == "status 401 Unauthorized: no such tenant"


def test_a_body_that_does_not_end_is_not_waited_for(
    receiver: Receiver, sender: Sender, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(transport, "_LONGEST_WAIT_FOR_BODY", 0.3)
    receiver.answer_headers = {"X-Drip": "0.05"}
    receiver.body = bytes(200)
    before = time.monotonic()

    assert sender.push().name == "success"
    assert time.monotonic() - before < 5


def test_a_timeout_in_milliseconds_is_not_waited_for(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(environment, "LONGEST_TIMEOUT", 0.3)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "10000")
    receiver.is_hanging.set()
    with closing(Sender(Lease("push-lock"))) as sender:
        assert sender.push()[:2] == ("unreachable", "no answer within 0.3 s")


def test_a_password_in_the_endpoint_is_not_shown(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://user:secret@otlp.example.com/a")

    assert environment.shown_endpoint() == "https://otlp.example.com/a/v1/metrics"


# --- the lease ----------------------------------------------------------------------


def test_one_lease_is_held_at_a_time(tmp_path: Path):
    tmp_path.chmod(0o700)
    first, second = Lease("lease"), Lease("lease")

    assert first.acquire(str(tmp_path))
    assert first.acquire(str(tmp_path))
    first.number = 7
    assert not second.acquire(str(tmp_path))
    first.release()
    assert second.acquire(str(tmp_path))
    assert second.number == 7
    (tmp_path / "lease").unlink()
    assert first.acquire(str(tmp_path))
    assert not second.acquire(str(tmp_path))
    first.release()
    second.release()


# --- nothing without it ------------------------------------------------------------


def test_without_otlp_nothing_of_it_is_imported():
    code = (
        "import os, sys, django\n"
        "os.environ['DJANGO_SETTINGS_MODULE'] = 'tests.settings'\n"
        "django.setup()\n"
        "from django.core.handlers.wsgi import WSGIHandler\n"
        "WSGIHandler()\n"
        "names = {name.partition('.')[0] for name in sys.modules}\n"
        "assert not names & {'opentelemetry', 'google', 'requests'}, names\n"
        "assert 'tachikoma_metrics.push.sender' not in sys.modules\n"
    )
    root = str(Path(__file__).parents[2])
    subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        cwd=root,
        env={"PYTHONPATH": f"{root}:{root}/example_project", "PATH": ""},
        timeout=60,
    )
