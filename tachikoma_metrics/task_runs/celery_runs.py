"""The runs of Celery's tasks, whoever sees them begin and end.

The series of a task are looked up once for each queue that it comes from, and remembered until
they are no longer the right ones: a worker whose tasks take microseconds looks up nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter, time
from typing import Any

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
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.recording.tasks import TASK_RUN, TASK_WAIT, record_success
from tachikoma_metrics.registry import METRICS, Progress
from tachikoma_metrics.task_runs import celery_counted
from tachikoma_metrics.task_runs.celery_messages import EAGER, HEADER, MICROSECONDS, queue_and_wait

_OUTCOMES = {"SUCCESS": SUCCESS, "REJECTED": REJECTED, "IGNORED": IGNORED}

_MOST_QUEUES = 100


class Series:
    """What the runs of one task from one queue change.

    ``is_watched`` says whether the main process has to know that a run was counted, ``is_sampled``
    whether runs get exemplars.
    """

    __slots__ = (
        "has_last_success",
        "is_sampled",
        "is_watched",
        "queue",
        "success",
        "task",
        "wait",
    )

    def __init__(self, task: str, queue: str) -> None:
        self.task = task
        self.queue = queue
        self.wait = TASK_WAIT.group((queue, task))
        self.success = TASK_RUN.group((task, queue, SUCCESS, ""))
        self.has_last_success = METRICS.bound(catalogue.TASK_LAST_SUCCESS_TIMESTAMP.name).is_on
        self.is_sampled = TASK_RUN.is_sampled
        self.is_watched = queue != EAGER and celery_counted.is_in_pool()


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
        header = request.get(HEADER)
        if isinstance(header, str) and not request.get("eta"):
            sent_at, _, queue = header.partition(MICROSECONDS)
            series = queues.get(queue)
            if series is not None:
                waited = time() - int(sent_at) * 1e-6
                if series.wait.begin(waited if waited > 0 else 0.0, run, now):
                    if series.is_watched:
                        celery_counted.begin()
                    return series
    except Exception as error:
        pass_on(error)
    return _begin(queues, task, request, run, now)


def _begin(
    queues: Queues, task: str, request: Mapping[str, Any], run: Progress, now: float
) -> Series | None:
    """Begin any run: one of a new task, without a stamp, or with a countdown."""
    try:
        queue, waited = queue_and_wait(request)
        series = queues.get(queue) or _find(queues, task, queue)
        if series is not None:
            celery_counted.begin()
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
    if len(queues) >= _MOST_QUEUES:
        queues.clear()
    series = queues[queue] = Series(task, queue)
    return series


def end(
    series: Series | None,
    run: Progress,
    started_at: float,
    request: Mapping[str, Any],
    state: Any,
    retval: Any,
) -> None:
    """End a run with the state that Celery gives it, or by the exception ``retval`` without one.

    Raises nothing of its own.
    """
    try:
        outcome, error_type = _outcome(state, retval) if state else _outcome_of_raised(retval)
        if series is None or outcome is None:
            TASK_RUN.abandon(run)
            return
        now = perf_counter()
        facts = (series.task, series.queue, outcome, error_type)
        TASK_RUN.record_valid(facts, (1.0, now - started_at), run, now)
        if series.is_watched:
            celery_counted.note(request["id"], request.get("retries"))
        if outcome == SUCCESS and series.has_last_success:
            record_success(catalogue.TASK_LAST_SUCCESS_TIMESTAMP, series.task)
    except Exception as error:
        METRICS.count_error("task", error)


def finish(
    series: Series, run: Progress, started_at: float, request: Mapping[str, Any], traced: Any
) -> None:
    """End a run by what the function that ran the task has returned, as ``end`` does."""
    try:
        if traced[1] is None and traced[2] is not None:
            if series.is_sampled:
                end(series, run, started_at, request, "SUCCESS", None)
                return
            now = perf_counter()
            series.success.add((1.0, now - started_at), now, run)
            if series.is_watched:
                celery_counted.note(request["id"], request.get("retries"))
            if series.has_last_success:
                record_success(catalogue.TASK_LAST_SUCCESS_TIMESTAMP, series.task)
            return
    except BaseException as error:
        facts = series.task, series.queue, SUCCESS, ""
        TASK_RUN.recover(error, facts, (1.0, perf_counter() - started_at), run)
        return
    info = traced[1]
    if info is None:
        # The task had succeeded before, and Celery did not run it again.
        TASK_RUN.abandon(run)
    else:
        state, retval = getattr(info, "state", "FAILURE"), getattr(info, "retval", None)
        end(series, run, started_at, request, state, retval)


def _outcome(state: Any, retval: Any) -> tuple[str | None, str]:
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


def _outcome_of_raised(error: BaseException | None) -> tuple[str | None, str]:
    """Return the outcome of a run that ends by an exception which leaves Celery's code.

    That is one of an eager task, which its caller gets, or one that ends the process or the
    greenlet. The main process counts the end of a process or greenlet, so the outcome is None.
    """
    if isinstance(error, Retry):
        return _outcome("RETRY", error)
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
