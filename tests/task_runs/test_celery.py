"""Tasks of Celery, in the test's process: what they count, and what their messages have."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

pytest.importorskip("celery", reason="the demo's environment has it")

from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import Ignore, Reject

from tachikoma_metrics.task_runs import (
    celery_messages,
    celery_publications,
    celery_runs,
    celery_signals,
)
from tachikoma_metrics.testing import sample_value, samples
from tests.task_runs.conftest import Broker

HEADER = celery_messages.HEADER
ERRORS = "tachikoma_metrics_errors_total"


def succeeds() -> int:
    return 1


def fails() -> None:
    raise ValueError("as it should")


def rejects() -> None:
    raise Reject("as it should")


def ignores() -> None:
    raise Ignore


def passes_soft_limit() -> None:
    raise SoftTimeLimitExceeded


def retries(task: Any) -> None:
    raise task.retry(exc=KeyError("as it should"), countdown=60)


def runs(**labels: str) -> float | None:
    return sample_value("task_runs_total", **labels)


def waits() -> tuple[float | None, float | None]:
    """Return how many waits there were, and their seconds."""
    count, seconds = "task_queue_wait_seconds_count", "task_queue_wait_seconds_sum"
    return sample_value(count, queue="celery"), sample_value(seconds, queue="celery")


@pytest.fixture
def error_types(settings) -> None:
    labels = ["task", "queue", "outcome", "error_type"]
    settings.TACHIKOMA_METRICS = {"LABELS": {"task_runs_total": labels}}


def test_a_task_is_counted_when_it_is_sent_when_it_starts_and_when_it_ends(broker: Broker):
    broker.task(succeeds).delay()
    assert sample_value("task_sends_total", task="tests.succeeds", queue="celery") == 1

    broker.work()

    assert runs(task="tests.succeeds", queue="celery", outcome="success") == 1
    assert sample_value("task_run_duration_seconds_count", task="tests.succeeds") == 1
    assert waits()[0] == 1
    assert sample_value("task_runs_in_progress") == 0


@pytest.mark.parametrize(
    ("run", "outcome"),
    [
        (fails, "failure"),
        (rejects, "rejected"),
        (ignores, "ignored"),
        (passes_soft_limit, "timeout"),
    ],
)
def test_each_end_is_an_outcome(broker: Broker, run: Any, outcome: str):
    broker.task(run).delay()

    broker.work()

    assert runs(task=f"tests.{run.__name__}", queue="celery", outcome=outcome) == 1
    assert sample_value("task_runs_in_progress") == 0


def test_a_retry_is_a_run_and_a_send(broker: Broker):
    broker.task(retries, bind=True).delay()

    broker.work()

    assert runs(task="tests.retries", queue="celery", outcome="retry") == 1
    assert sample_value("task_sends_total", task="tests.retries", queue="celery") == 2


@pytest.mark.parametrize(
    ("run", "outcome", "error"),
    [
        (succeeds, "success", ""),
        (fails, "failure", "ValueError"),
        (retries, "retry", "KeyError"),
        (passes_soft_limit, "timeout", "SoftTimeLimitExceeded"),
    ],
)
def test_the_class_of_the_exception_is_an_optional_label(
    broker: Broker, error_types: None, run: Any, outcome: str, error: str
):
    broker.task(run, bind=run is retries).delay()

    broker.work()

    facts = {"task": f"tests.{run.__name__}", "queue": "celery", "outcome": outcome}
    assert runs(**facts, error_type=error) == 1


def test_a_message_has_one_header_of_this_package(broker: Broker):
    broker.task(succeeds).delay()

    headers = broker.message().headers

    assert isinstance(headers[HEADER], str)
    sent_at, queue = headers[HEADER].split(" ")
    assert queue == "celery"
    assert abs(float(sent_at) - datetime.now(timezone.utc).timestamp()) < 10
    assert [name for name in headers if "tachikoma" in name] == [HEADER]


def test_without_tasks_messages_are_unchanged_and_nothing_is_counted(broker: Broker, settings):
    settings.TACHIKOMA_METRICS = {"TASKS": False}
    broker.task(succeeds).delay()
    message = broker.message()

    broker.run(message)

    assert HEADER not in message.headers
    assert not any(name.startswith("task_") and value for (name, _), value in samples().items())


def test_a_message_without_the_header_is_counted_by_its_routing_key(broker: Broker):
    broker.task(succeeds).delay()
    message = broker.message()
    del message.headers[HEADER]

    broker.run(message)

    assert runs(task="tests.succeeds", queue="celery", outcome="success") == 1
    assert waits()[0] in {None, 0}


@pytest.mark.parametrize("header", [7, "", "soon celery", None])
def test_a_header_that_is_no_stamp_does_not_disturb_the_task(broker: Broker, header: object):
    broker.task(succeeds).delay()

    broker.run(broker.message(), **{HEADER: header})

    assert runs(task="tests.succeeds", queue="celery", outcome="success") == 1
    assert sample_value("task_runs_in_progress") == 0
    assert waits()[0] in {None, 0}
    assert not sample_value(ERRORS, source="task")


def in_seconds(seconds: float) -> str:
    return (datetime.now(timezone.utc) + timedelta(seconds=seconds)).isoformat()


def stamped(seconds_ago: float) -> str:
    return f"{datetime.now(timezone.utc).timestamp() - seconds_ago} celery"


@pytest.mark.parametrize(
    ("sent_ago", "eta", "waited"),
    [
        (30, None, 30),
        (30, -20, 20),
        (30, 20, 0),  # A worker whose clock is behind starts it before its time.
        (-30, None, 0),  # A publisher whose clock is ahead.
        (30, -60, 30),  # Its time was over when it was sent.
    ],
)
def test_a_wait_begins_when_the_task_could_have_started(
    broker: Broker, sent_ago: float, eta: float | None, waited: float
):
    broker.task(succeeds).delay()

    headers = {HEADER: stamped(sent_ago), "eta": None if eta is None else in_seconds(eta)}
    broker.run(broker.message(), **headers)

    count, seconds = waits()
    assert count == 1
    assert seconds == pytest.approx(waited, abs=2)


def test_an_eager_task_is_a_run_without_a_send_and_a_wait(broker: Broker):
    task = broker.task(succeeds)
    broker.app.conf.task_always_eager = True

    task.delay()

    assert runs(task="tests.succeeds", queue="eager", outcome="success") == 1
    assert waits()[0] in {None, 0}
    assert not sample_value("task_sends_total", task="tests.succeeds", queue="celery")


def test_an_eager_task_that_raises_to_its_caller_is_a_failure(broker: Broker):
    task = broker.task(fails)

    with pytest.raises(ValueError, match="as it should"):
        task.apply(throw=True)

    assert runs(task="tests.fails", queue="eager", outcome="failure") == 1
    assert sample_value("task_runs_in_progress") == 0


def test_an_eager_task_that_is_retried_is_counted_with_each_run(broker: Broker):
    def again(task: Any) -> None:
        if not task.request.retries:
            raise task.retry(countdown=0)

    broker.task(again, bind=True).apply()

    assert runs(task="tests.again", queue="eager", outcome="retry") == 1
    assert runs(task="tests.again", queue="eager", outcome="success") == 1
    assert sample_value("task_runs_in_progress") == 0


def test_a_task_that_is_called_as_a_function_is_no_run(broker: Broker):
    assert broker.task(succeeds)() == 1
    assert not runs(task="tests.succeeds", queue="eager", outcome="success")


def test_no_exception_of_this_package_reaches_the_publisher_or_the_task(
    broker: Broker, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def breaks(*_: object) -> None:
        raise RuntimeError("It is broken.")

    for module, name in (
        (celery_publications, "time_ns"),
        (celery_signals, "stamp"),
        (celery_signals, "stamped_queue"),
        (celery_runs, "queue_and_wait"),
    ):
        monkeypatch.setattr(module, name, breaks)
    ran = []

    def notes() -> None:
        ran.append(True)

    task = broker.task(notes)

    with caplog.at_level(logging.ERROR):
        task.delay()
        broker.work()

    assert ran == [True]
    assert (sample_value(ERRORS, source="task") or 0) >= 2
    assert not [record for record in caplog.records if record.name.startswith("celery.utils")]


def test_a_system_exit_of_a_task_in_the_main_process_is_a_loss(broker: Broker):
    def exits() -> None:
        raise SystemExit(1)

    broker.task(exits).delay()

    with pytest.raises(SystemExit):
        broker.work()

    assert runs(task="tests.exits", queue="celery", outcome="lost") == 1
    assert sample_value("task_runs_in_progress") == 0
