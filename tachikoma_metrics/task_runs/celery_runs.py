"""The runs of Celery's tasks, whoever sees them begin and end.

The series of a task are looked up once for each queue that it comes from, and remembered until
they are no longer the right ones: a worker whose tasks take microseconds looks up nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any, NamedTuple

from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import Reject, Retry

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue.tasks import (
    FAILURE,
    IGNORED,
    LOST,
    REJECTED,
    RETRY,
    SUCCESS,
    TIMEOUT,
)
from tachikoma_metrics.recording.tasks import TASK_RUN, TASK_WAIT, record_success
from tachikoma_metrics.registry import METRICS, UNKNOWN, Cell, Progress, SeriesGroup
from tachikoma_metrics.task_runs import celery_counted
from tachikoma_metrics.task_runs.celery_messages import EAGER, queue_and_wait

_OUTCOMES = {"SUCCESS": SUCCESS, "REJECTED": REJECTED, "IGNORED": IGNORED}

_MOST_QUEUES = 100


class Series(NamedTuple):
    """What the runs of one task from one queue change."""

    task: str
    queue: str
    wait: SeriesGroup
    in_progress: Cell
    success: SeriesGroup
    is_success_noted: bool


Queues = dict[str, Series]
"""The series of one task, by queue."""

_tasks: dict[str, Queues] = {}


def queues_of(task: str) -> Queues:
    """Return the series of a task that are known by now, and later."""
    return _tasks.setdefault(task, {})


def begin(
    queues: Queues, task: str, request: Mapping[str, Any], run: Progress, now: float
) -> Series | None:
    """Begin a run that a message asked for, and record how long its task waited.

    ``now`` is the time of ``perf_counter``. Returns None if the run is not measured. Raises
    nothing of its own.
    """
    try:
        queue, waited = queue_and_wait(request)
        series = queues.get(queue) or _find(queues, task, queue)
        if series is None:
            return None
        celery_counted.begin()
        if waited is UNKNOWN or not series.wait.begin(waited, series.in_progress, run, now):
            TASK_RUN.begin(run, now)
            TASK_WAIT.record_valid((queue, task), (waited,), None, now)
        return series
    except Exception as error:
        METRICS.count_error("task", error)
        return None


def begin_eager(
    queues: Queues, task: str, request: Mapping[str, Any], run: Progress, now: float
) -> Series | None:
    """Begin a run in the process that called the task, as ``begin`` does."""
    try:
        series = queues.get(EAGER) or _find(queues, task, EAGER)
        if series is not None:
            TASK_RUN.begin(run, now)
        return series
    except Exception as error:
        METRICS.count_error("task", error)
        return None


def _find(queues: Queues, task: str, queue: str) -> Series | None:
    if not conf.config().measures_celery:
        return None
    TASK_RUN.initialize((task, queue))
    last_success = METRICS.bound(catalogue.TASK_LAST_SUCCESS_TIMESTAMP.name)
    if len(queues) >= _MOST_QUEUES:
        queues.clear()
    series = queues[queue] = Series(
        task,
        queue,
        TASK_WAIT.group((queue, task)),
        TASK_RUN.in_progress,
        TASK_RUN.group((task, queue, SUCCESS, "")),
        last_success.is_on,
    )
    return series


def end(
    series: Series | None,
    run: Progress,
    started_at: float,
    request: Mapping[str, Any],
    outcome: tuple[str | None, str],
) -> None:
    """End a run with an outcome, and the class name of its exception; raises nothing of its own.

    Without an outcome, the main process counts how the run ends.
    """
    try:
        if series is None or outcome[0] is None:
            TASK_RUN.abandon(run)
            return
        now = perf_counter()
        facts = (series.task, series.queue, *outcome)
        TASK_RUN.record_valid(facts, (1.0, now - started_at), run, now)
        _note(series, request)
    except Exception as error:
        METRICS.count_error("task", error)


def finish(
    series: Series, run: Progress, started_at: float, request: Mapping[str, Any], traced: Any
) -> None:
    """End a run by what the function that ran the task has returned, as ``end`` does."""
    try:
        info, seconds = traced[1], traced[2]
        if info is None and seconds is not None:
            _succeed(series, run, started_at)
            _note(series, request)
            if series.is_success_noted:
                record_success(catalogue.TASK_LAST_SUCCESS_TIMESTAMP, series.task)
        elif info is not None:
            end(series, run, started_at, request, outcome_of(info.state, info.retval))
        else:
            # The task had succeeded before, and Celery did not run it again.
            TASK_RUN.abandon(run)
    except Exception as error:
        TASK_RUN.abandon(run)
        METRICS.count_error("task", error)


def _succeed(series: Series, run: Progress, started_at: float) -> None:
    now = perf_counter()
    amounts = (1.0, now - started_at)
    try:
        series.success.add(amounts, now, run)
    except BaseException as error:
        TASK_RUN.recover(error, (series.task, series.queue, SUCCESS, ""), amounts, run, now)


def _note(series: Series, request: Mapping[str, Any]) -> None:
    if series.queue != EAGER and celery_counted.is_in_pool():
        celery_counted.note(str(request.get("id")), request.get("retries"))


def outcome_of(state: Any, retval: Any) -> tuple[str | None, str]:
    """Return the outcome of a run for Celery's state, and the class name of its exception."""
    if state == "FAILURE":
        return _outcome_of_failure(retval)
    if state == "RETRY":
        cause = getattr(retval, "exc", None)
        return RETRY, "" if cause is None else type(cause).__name__
    # Other releases of Celery may have other states.
    return _OUTCOMES.get(state, FAILURE), ""


def _outcome_of_failure(error: Any) -> tuple[str | None, str]:
    is_timeout = isinstance(error, SoftTimeLimitExceeded)
    return TIMEOUT if is_timeout else FAILURE, type(error).__name__


def outcome_of_raised(error: BaseException | None) -> tuple[str | None, str]:
    """Return the outcome of a run that ends by an exception which leaves Celery's code.

    That is one of an eager task, which its caller gets, or one that ends the process or the
    greenlet. The main process counts the end of a process or greenlet, so the outcome is None.
    """
    if isinstance(error, Retry):
        return outcome_of("RETRY", error)
    if isinstance(error, Reject):
        return REJECTED, ""
    if isinstance(error, Exception):
        return _outcome_of_failure(error)
    is_of_main_process = isinstance(error, (SystemExit, KeyboardInterrupt))
    is_lost = is_of_main_process and not celery_counted.is_in_pool()
    return LOST if is_lost else None, type(error).__name__


def _forget() -> None:
    for queues in list(_tasks.values()):
        queues.clear()


METRICS.on_reset(_forget)
conf.on_change(_forget)
