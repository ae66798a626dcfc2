"""What the doctor says of pushes."""

from __future__ import annotations

import time

import pytest
from django.test import override_settings

from tachikoma_metrics.doctor import OK, WARNING, push
from tachikoma_metrics.doctor.exposition import Samples
from tachikoma_metrics.push import environment

LAST = ("tachikoma_metrics_push_last_success_timestamp_seconds", frozenset[tuple[str, str]]())


def counted(**outcomes: float) -> Samples:
    return {
        ("tachikoma_metrics_pushes_total", frozenset({("outcome", outcome)})): number
        for outcome, number in outcomes.items()
    }


def test_the_receiver_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(environment.METRICS_ENDPOINT, raising=False)
    monkeypatch.setenv(environment.ENDPOINT, "https://user:secret@otlp.example.com")
    monkeypatch.setenv(environment.INTERVAL, "30000")
    with override_settings(TACHIKOMA_METRICS={"OTLP": True}):
        (finding,) = push.of_setting()

    assert finding.status == OK
    assert finding.message == (
        "OTLP: one process sends to https://otlp.example.com/v1/metrics every 30 s."
    )


def test_without_pushes_nothing_is_said():
    assert list(push.of_setting()) == []
    assert list(push.of_samples(counted(success=0))) == []


def test_pushes_that_succeed_are_all_right():
    samples = {**counted(success=7, error=1), LAST: time.time() - 5}
    (finding,) = push.of_samples(samples)

    assert finding.status == OK
    assert finding.message.startswith("8 pushes by OTLP: 7 success, 1 error. The last successful")


@pytest.mark.parametrize(
    ("last", "said"), [({}, "None was successful."), ({LAST: 1.0}, "The last successful one was")]
)
def test_pushes_that_ceased_to_succeed_are_a_warning(last: Samples, said: str):
    (finding,) = push.of_samples({**counted(unreachable=1), **last})

    assert finding.status == WARNING
    assert finding.message.startswith(f"1 push by OTLP: 1 unreachable. {said}")
    assert "`A push to`" in finding.hint
