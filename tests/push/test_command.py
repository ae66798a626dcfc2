"""What the command sends by OTLP, and how it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from tachikoma_metrics import METRICS
from tachikoma_metrics.push import environment
from tests.push.receiver import Receiver
from tests.services.processes import free_port

pytestmark = pytest.mark.usefixtures("store_of_the_test")


def test_the_command_pushes_once(receiver: Receiver, capsys: pytest.CaptureFixture[str]):
    call_command("metrics_push", "otlp", "--once")

    assert len(receiver.pushes) == 1
    assert capsys.readouterr().out == "Push: success.\n"


def test_a_single_push_that_fails_is_reported_once(
    receiver: Receiver, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
):
    receiver.status = 500
    with pytest.raises(CommandError, match="failed \\(error\\): status 500"):
        call_command("metrics_push", "otlp", "--once")

    assert capsys.readouterr() == ("", "")
    assert caplog.records == []


def test_the_command_says_what_is_odd_about_the_endpoint(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"{receiver.url}/v1/metrics")

    call_command("metrics_push", "otlp", "--once")

    assert "OTEL_EXPORTER_OTLP_ENDPOINT, which ends with it already" in capsys.readouterr().err


def test_the_command_has_the_names_of_the_conventions(receiver: Receiver):
    views = {"STORE_DIR": None, "VIEWS": ["opentelemetry"]}
    with override_settings(TACHIKOMA_METRICS=views):
        METRICS.activate({"http_request_duration_seconds"})
        METRICS.http_request_duration_seconds.labels("GET", "/").observe(0.2)
        call_command("metrics_push", "otlp", "--once", "--names", "opentelemetry", "-v", "0")
        call_command("metrics_push", "otlp", "--once", "-v", "0")

    conventions, ours = receiver.pushes
    metric = conventions.metrics["http.server.request.duration"]
    assert metric.unit == "s"
    assert "http_request_duration_seconds" not in conventions.metrics
    assert "http_server_request_duration_seconds" not in conventions.metrics
    assert "db.client.operation.duration" in conventions.metrics
    assert {"http_request_duration_seconds", "http_server_request_duration_seconds"} <= set(
        ours.metrics
    )


def test_the_command_ends_with_one_sentence(
    receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    receiver.status = 401
    nobody = f"http://127.0.0.1:{free_port()}"
    folder = tmp_path / "absent" / "app.prom"

    def says(*arguments: str) -> str:
        with pytest.raises(CommandError) as raised:
            call_command("metrics_push", *arguments)
        text = str(raised.value)
        assert "\n" not in text
        return text

    assert "failed (rejected): status 401" in says("otlp", "--once")
    assert "at least 1" in says("otlp", "--interval", "0.1")
    assert '"VIEWS": ["opentelemetry"]' in says("otlp", "--names", "opentelemetry")
    assert f"{folder} cannot be written: No such file or directory." in says(
        "textfile", str(folder)
    )
    assert "is a directory" in says("textfile", str(tmp_path))
    assert f"The push to {nobody} failed" in says("gateway", nobody, "--job", "shop")
    assert "no URL" in says("gateway", "ftp://a", "--job", "shop")
    assert "--job" in says("gateway", nobody)
    says("nowhere")
    says()
    monkeypatch.setenv("OTEL_METRIC_EXPORT_INTERVAL", "15s")
    assert "OTEL_METRIC_EXPORT_INTERVAL='15s'" in says("otlp")
    monkeypatch.delenv("OTEL_METRIC_EXPORT_INTERVAL")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")
    assert "is no URL" in says("otlp")
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    assert "pip install" in says("otlp")
    with override_settings(TACHIKOMA_METRICS={"ENABLED": False}):
        assert "ENABLED" in says("otlp")
