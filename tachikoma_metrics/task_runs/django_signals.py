"""The signals of ``django.tasks``, recorded as sends, waits and runs of tasks.

Django 6.0 has them, and the backport ``django_tasks`` for Django 5.2 has the same ones. Every
backend sends them: the one that runs a task immediately, and those whose worker runs it later.

A worker that is killed sends no signal for the task that it runs: that run leaves the runs in
progress and is not counted. Neither is a task whose function can no longer be imported.

https://docs.djangoproject.com/en/stable/ref/signals/#task-signals
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib import import_module
from time import perf_counter
from typing import Any

from django.conf import settings

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.tasks import FAILURE, RETRY, SUCCESS
from tachikoma_metrics.conf import config
from tachikoma_metrics.recording.tasks import TASK_RUN, TASK_SEND, TASK_WAIT, record_success
from tachikoma_metrics.registry import METRICS, UNKNOWN
from tachikoma_metrics.task_runs.run import Run

_OUTCOMES = {"SUCCESSFUL": SUCCESS, "FAILED": FAILURE, "READY": RETRY}

_MOST_RUNS = 1000

_runs: dict[str, Run] = {}
"""The runs that have begun in this process, by the id of their result."""


def connect(package: str) -> None:
    """Receive the signals of ``django.tasks`` or of its backport ``django_tasks``."""
    signals: Any = import_module(f"{package}.signals")
    for signal, receiver in (
        (signals.task_enqueued, on_enqueued),
        (signals.task_started, on_started),
        (signals.task_finished, on_finished),
    ):
        signal.connect(receiver, dispatch_uid=f"{__name__}.{receiver.__name__}")
    # Django always has tasks: a project that configures none gets the metrics with its first task.
    if package != "django.tasks" or settings.is_overridden("TASKS"):
        METRICS.activate(catalogue.RECORDED_BY_TASK_SYSTEMS)


def _receiver(receive: Callable[[Any], None]) -> Callable[..., None]:
    """Return a receiver that passes the result to ``receive``, and never raises."""

    @functools.wraps(receive)
    def guarded(task_result: Any, **_: Any) -> None:
        try:
            if config().measures_tasks_of("django"):
                receive(task_result)
        except Exception as error:
            METRICS.count_error("task", error)

    # With DEBUG, Django rejects a receiver without `**kwargs` in the signature that it wraps.
    del guarded.__wrapped__
    return guarded


@_receiver
def on_enqueued(task_result: Any) -> None:
    """Count a task that was sent to a queue."""
    task = task_result.task
    TASK_SEND.record_valid((task.module_path, task.queue_name), (1.0,))


@_receiver
def on_started(task_result: Any) -> None:
    """Begin a run, and record how long its task waited, unless it was tried before."""
    task, now = task_result.task, perf_counter()
    run = Run(task.queue_name, now)
    if len(_runs) >= _MOST_RUNS:
        TASK_RUN.abandon(_runs.pop(next(iter(_runs))))
    _runs[task_result.id] = run
    TASK_RUN.begin(run, now)
    TASK_RUN.initialize((task.module_path, task.queue_name))
    if len(task_result.worker_ids) <= 1:
        facts = (task.queue_name, task.module_path)
        TASK_WAIT.record_valid(facts, (_seconds_waited(task_result),), None, now)


def _seconds_waited(task_result: Any) -> float:
    could_start_at = task_result.enqueued_at
    if task_result.task.run_after is not None:
        could_start_at = max(could_start_at, task_result.task.run_after)
    return max(0.0, float((task_result.started_at - could_start_at).total_seconds()))


@_receiver
def on_finished(task_result: Any) -> None:
    """End a run; a task that is ready to run again is retried.

    A run whose beginning was not seen has no duration: another receiver raised before.
    """
    run = _runs.pop(task_result.id, None)
    task, now = task_result.task, perf_counter()
    outcome = _OUTCOMES[str(task_result.status)]
    facts = (task.module_path, task.queue_name, outcome, _error_type(task_result, outcome))
    seconds = UNKNOWN if run is None else now - run.started_at
    TASK_RUN.record_valid(facts, (1.0, seconds), run, now)
    if outcome == SUCCESS:
        record_success(catalogue.TASK_LAST_SUCCESS_TIMESTAMP, task.module_path)


def _error_type(task_result: Any, outcome: str) -> str:
    if outcome == SUCCESS or not task_result.errors:
        return ""
    return str(task_result.errors[-1].exception_class_path).rpartition(".")[2]
