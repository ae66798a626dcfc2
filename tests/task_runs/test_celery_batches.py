"""Batches of celery-batches, which runs them around none of Celery's functions for that."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("celery", reason="the demo's environment has it")

from celery import signals
from celery.app.task import Context

from tachikoma_metrics import task_runs
from tachikoma_metrics.task_runs import celery_counted, celery_messages, celery_signals
from tachikoma_metrics.testing import sample_value
from tests.task_runs.conftest import Broker

TRACE = "celery_batches.trace"
SENT = "1.5 mails"
ERRORS = "tachikoma_metrics_errors_total"


def collects(requests: list[Any]) -> int:
    return len(requests)


def fails(requests: list[Any]) -> None:
    raise ValueError("as it should")


@pytest.fixture
def celery_batches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Be a process that imports celery-batches."""
    monkeypatch.setitem(sys.modules, TRACE, ModuleType(TRACE))
    task_runs.connect_imported()
    yield
    task_runs._connected.discard(TRACE)
    for signal in (signals.task_prerun, signals.task_postrun):
        for handler in (celery_signals.on_batch_prerun, celery_signals.on_postrun):
            signal.disconnect(dispatch_uid=f"{celery_signals.__name__}.{handler.__name__}")


def run_batch(task: Any, *headers: dict[str, Any]) -> None:
    """Run a batch with the same signals and context as celery-batches."""
    requests = [
        SimpleNamespace(request_dict=one, delivery_info={"routing_key": "keyed"}) for one in headers
    ]
    facts = {"task_id": "batch-1", "task": task, "args": (requests,), "kwargs": {}}
    state = "SUCCESS"
    task.request_stack.push(Context(loglevel=0, logfile=None))
    signals.task_prerun.send(sender=task, **facts)
    try:
        result = task(requests)
    except ValueError:
        result, state = None, "FAILURE"
    finally:
        signals.task_postrun.send(sender=task, **facts, retval=result, state=state)
        task.request_stack.pop()


def runs(task: str, queue: str, outcome: str = "success") -> float | None:
    return sample_value("task_runs_total", task=f"tests.{task}", queue=queue, outcome=outcome)


@pytest.mark.usefixtures("celery_batches")
def test_a_batch_is_one_run_from_the_queue_of_its_first_message(broker: Broker):
    run_batch(broker.task(collects), {celery_messages.HEADER: SENT}, {})

    assert runs("collects", "mails") == 1
    assert sample_value("task_queue_wait_seconds_count", queue="mails") == 1
    assert sample_value("task_runs_in_progress") == 0
    assert not sample_value(ERRORS, source="task")


@pytest.mark.usefixtures("celery_batches")
def test_a_batch_that_raises_is_a_failure(broker: Broker):
    run_batch(broker.task(fails), {})

    assert runs("fails", "keyed", "failure") == 1


@pytest.mark.usefixtures("celery_batches")
def test_other_tasks_are_counted_once(broker: Broker):
    task = broker.task(collects)
    task.delay([])
    broker.work()
    task.apply(([],))

    assert runs("collects", "celery") == 1
    assert runs("collects", "eager") == 1


@pytest.mark.usefixtures("celery_batches")
def test_a_batch_in_a_process_of_the_pool_is_no_error(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(celery_counted, "_place", 1)

    run_batch(broker.task(collects), {})

    assert runs("collects", "keyed") == 1
    assert not sample_value(ERRORS, source="task")
