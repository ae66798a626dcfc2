"""Celery's functions that are replaced: other instruments around them, and what they return."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("celery", reason="the demo's environment has it")

from celery.app import trace
from celery.app.amqp import AMQP
from kombu.common import Broadcast
from kombu.entity import Exchange, Queue

from tachikoma_metrics.task_runs import celery_messages, celery_publications, celery_tracers
from tachikoma_metrics.testing import sample_value
from tests.task_runs.conftest import Broker

HEADER = celery_messages.HEADER
ERRORS = "tachikoma_metrics_errors_total"


def succeeds() -> int:
    return 1


def runs(outcome: str = "success") -> float | None:
    return sample_value("task_runs_total", task="tests.succeeds", queue="celery", outcome=outcome)


def sends(queue: str) -> float | None:
    return sample_value("task_sends_total", task="tests.succeeds", queue=queue)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have Celery's own functions, which a test may replace as it likes."""
    build: Any = trace.build_tracer
    make: Any = AMQP._create_task_sender
    monkeypatch.setattr(trace, "build_tracer", build.__wrapped__)
    monkeypatch.setattr(AMQP, "_create_task_sender", make.__wrapped__)


def install() -> None:
    celery_tracers.install()
    celery_publications.install()


def wrapped_by_another(build: Callable[..., Any], seen: list[str]) -> Callable[..., Any]:
    """Return what another instrument puts in the place of ``build_tracer``."""

    def build_tracer(name: str, task: Any, *args: Any, **kwargs: Any) -> Any:
        tracer = build(name, task, *args, **kwargs)

        @functools.wraps(tracer)
        def other(*args: Any, **kwargs: Any) -> Any:
            seen.append(name)
            return tracer(*args, **kwargs)

        return other

    return build_tracer


@pytest.mark.parametrize("is_first", [True, False])
def test_another_instrument_may_wrap_the_same_function(bare: None, is_first: bool):
    seen: list[str] = []
    if is_first:
        trace.build_tracer = wrapped_by_another(trace.build_tracer, seen)
    install()
    if not is_first:
        trace.build_tracer = wrapped_by_another(trace.build_tracer, seen)
    broker = Broker()
    broker.task(succeeds).delay()

    broker.work()

    assert seen == ["tests.succeeds"]
    assert runs() == 1
    assert sends("celery") == 1
    broker.close()


def test_what_was_made_before_is_measured_once(bare: None):
    broker = Broker()
    task = broker.task(succeeds)
    for _ in range(2):
        task.delay()
        broker.work()
    assert not runs()

    install()
    install()
    task.delay()
    broker.work()

    assert runs() == 1
    assert sends("celery") == 1
    broker.close()


@pytest.mark.parametrize(
    ("traced", "errors"),
    [
        (trace.trace_ok_t(None, None, None, None), 0),  # It had succeeded before.
        (None, 1),
        ((), 1),
    ],
)
def test_a_task_that_does_not_run_is_no_run(bare: None, traced: Any, errors: int):
    trace.build_tracer = lambda *_, **__: lambda *_: traced
    install()
    broker = Broker()
    task = broker.task(succeeds)
    task.delay()

    broker.work()

    assert task.__trace__("id", (), {}, {}) is traced
    assert not runs()
    assert sample_value("task_runs_in_progress") == 0
    assert (sample_value(ERRORS, source="task") or 0) >= errors
    broker.close()


def test_a_tracer_of_an_unknown_state_is_a_failure(bare: None):
    info = trace.TraceInfo("ODD", None)
    trace.build_tracer = lambda *_, **__: lambda *_: trace.trace_ok_t(None, info, None, None)
    install()
    broker = Broker()
    broker.task(succeeds).delay()

    broker.work()

    assert runs("failure") == 1
    broker.close()


@pytest.mark.parametrize(
    ("options", "queue"),
    [
        ({}, "celery"),
        ({"queue": "named"}, "named"),
        ({"queue": Queue("made", Exchange("made"), "key")}, "made"),
        ({"queue": Broadcast("all", queue="of-this-worker")}, "celery"),
        ({"exchange": Exchange("topics", "topic"), "routing_key": "a.b"}, "celery"),
        ({"exchange": "elsewhere", "routing_key": "key"}, "celery"),
        ({"declare": [Queue("declared")]}, "declared"),
    ],
)
def test_a_send_has_the_queue_that_the_message_goes_to(
    broker: Broker, options: dict[str, Any], queue: str
):
    broker.task(succeeds).apply_async(**options)

    assert sends(queue) == 1
    assert not sample_value(ERRORS, source="task")


def test_a_retry_is_stamped_anew(broker: Broker):
    def again(task: Any) -> None:
        raise task.retry(countdown=60)

    broker.task(again, bind=True).delay()
    first = broker.message()
    broker.run(first)

    second = broker.message()

    assert second.headers[HEADER] > first.headers[HEADER]
    assert second.headers["retries"] == 1


def test_headers_of_the_publisher_are_not_changed(broker: Broker):
    headers = {HEADER: "0 elsewhere", "own": "kept"}

    broker.task(succeeds).apply_async(headers=headers)

    assert headers == {HEADER: "0 elsewhere", "own": "kept"}
    message = broker.message()
    assert message.headers["own"] == "kept"
    assert message.headers[HEADER].endswith(" celery")


def test_the_stamp_of_an_older_release_is_understood(broker: Broker):
    broker.task(succeeds).delay()

    broker.run(broker.message(), **{HEADER: "1700000000.123456 celery"})

    assert runs() == 1
    assert (sample_value("task_queue_wait_seconds_sum", queue="celery") or 0) > 1e6
