"""Celery's signals, recorded as sends, waits and runs of tasks.

A run begins with ``task_prerun`` and ends with ``task_postrun``, both in the process that runs
the task. A process of the prefork pool that is killed, or that passes a hard time limit, sends
no outcome: the worker's main process counts it, see ``celery_requests``. A task that is revoked
before it starts never runs, and the main process sends ``task_revoked``.

https://docs.celeryq.dev/en/stable/userguide/signals.html
"""

from __future__ import annotations

import functools
import os
import signal as system_signals
import sys
import time
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeVar, cast

from billiard.exceptions import SoftTimeLimitExceeded
from celery import signals
from celery.exceptions import Retry

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.tasks import (
    FAILURE,
    IGNORED,
    LOST,
    REJECTED,
    RETRY,
    REVOKED,
    SUCCESS,
    TIMEOUT,
)
from tachikoma_metrics.conf import config
from tachikoma_metrics.recording.tasks import TASK_RUN, TASK_SEND, TASK_WAIT, record_success
from tachikoma_metrics.registry import METRICS, UNKNOWN
from tachikoma_metrics.task_runs import celery_beat, celery_counted
from tachikoma_metrics.task_runs.celery_messages import (
    EAGER,
    STARTED_AT,
    queue_and_wait,
    queue_of_delivery,
    queue_of_publication,
    stamp,
    stamped_queue,
)
from tachikoma_metrics.task_runs.celery_queues import own_tasks, queue_of_task
from tachikoma_metrics.task_runs.run import Run

_runs: dict[str, Run] = {}
"""The runs in progress in this process, by task id."""

_SOFT_TIME_LIMIT = getattr(system_signals, "SIGUSR1", -1)
"""The signal by which the main process has the pool raise SoftTimeLimitExceeded in a task."""

_OUTCOMES = {
    "REJECTED": REJECTED,
    "IGNORED": IGNORED,
}

_main_pid: int | None = None
"""The id of this worker's main process, once it has started."""

_pool_pid: int | None = None
"""The id of this process if it is of the prefork pool, whose main process watches it."""

_ONE = (1.0,)

Handler = TypeVar("Handler", bound=Callable[..., None])


def _handler(handler: Handler) -> Handler:
    """Return ``handler`` such that it raises nothing, and does nothing if ``TASKS`` is off."""

    @functools.wraps(handler)
    def guarded(**facts: Any) -> None:
        try:
            if config().measures_celery:
                handler(**facts)
        except Exception as error:
            METRICS.count_error("task", error)

    return cast(Handler, guarded)


def connect() -> None:
    """Receive the signals of every Celery app in this process."""
    for signal, handler in (
        (signals.before_task_publish, on_before_publish),
        (signals.after_task_publish, on_after_publish),
        (signals.task_prerun, on_prerun),
        (signals.task_postrun, on_postrun),
        (signals.task_revoked, on_revoked),
        (signals.worker_init, on_worker_init),
        (signals.worker_process_init, on_pool_process_init),
        (signals.worker_ready, on_worker_ready),
        (signals.beat_init, on_beat_init),
    ):
        signal.connect(handler, weak=False, dispatch_uid=f"{__name__}.{handler.__name__}")
    METRICS.activate(catalogue.RECORDED_BY_TASK_SYSTEMS)


# The four that each task calls have no wrapper: it would take as long as what they do.


def on_before_publish(
    headers: dict[str, Any], routing_key: Any = None, declare: Any = None, **_: Any
) -> None:
    """Stamp a message that is about to be sent. Never raises."""
    try:
        if config().measures_celery:
            stamp(headers, queue_of_publication(declare, routing_key))
    except Exception as error:
        METRICS.count_error("task", error)


def on_after_publish(
    sender: Any, headers: dict[str, Any], routing_key: Any = None, **_: Any
) -> None:
    """Count a message that was sent. Never raises."""
    try:
        if config().measures_celery:
            queue = stamped_queue(headers)
            if queue is None:
                queue = str(routing_key)
            TASK_SEND.record_valid((sender, queue), _ONE)
    except Exception as error:
        METRICS.count_error("task", error)


def on_prerun(task_id: str, task: Any, **_: Any) -> None:
    """Begin a run, and record how long its task waited. Never raises."""
    try:
        if config().measures_celery:
            _begin(task_id, task)
    except Exception as error:
        METRICS.count_error("task", error)


def _begin(task_id: str, task: Any) -> None:
    request, now = task.request, perf_counter()
    queue, waited = (EAGER, None) if request.is_eager else queue_and_wait(request)
    run = Run(queue, now)
    if _pool_pid is not None and not request.is_eager:
        celery_counted.begin(_pool_pid)
    # An eager task that is retried runs within its first run.
    run.outer = _runs.get(task_id)
    _runs[task_id] = run
    TASK_RUN.begin(run, now)
    TASK_RUN.initialize((task.name, queue))
    if waited is not None:
        TASK_WAIT.record_valid((queue, task.name), (waited,), None, now)


def on_postrun(task_id: str, task: Any, retval: Any = None, state: Any = None, **_: Any) -> None:
    """End a run with the outcome that Celery gives it. Never raises."""
    try:
        run = _runs.pop(task_id, None)
        if run is not None:
            _end(run, task_id, task, retval, state)
    except Exception as error:
        METRICS.count_error("task", error)


def _end(run: Run, task_id: str, task: Any, retval: Any, state: Any) -> None:
    if run.outer is not None:
        _runs[task_id] = run.outer
    outcome, error = _outcome(state, retval) if state else _outcome_of_raised()
    if outcome is None:
        TASK_RUN.abandon(run)
        return
    now = perf_counter()
    facts = (task.name, run.queue, outcome, error)
    TASK_RUN.record_valid(facts, (1.0, now - run.started_at), run, now)
    if _pool_pid is not None and run.queue != EAGER:
        celery_counted.note(_pool_pid, task_id, task.request.retries)
    if outcome == SUCCESS:
        record_success(catalogue.TASK_LAST_SUCCESS_TIMESTAMP, task.name)


def _outcome(state: Any, retval: Any) -> tuple[str | None, str]:
    """Return the outcome of a run for Celery's state, and the class name of its exception."""
    if state == "SUCCESS":
        return SUCCESS, ""
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


def _outcome_of_raised() -> tuple[str | None, str]:
    """Return the outcome of a run that ends by an exception which leaves Celery's code.

    That is one of an eager task, which its caller gets, or one that ends the process or the
    greenlet. The main process counts the end of a process or greenlet, so the outcome is None.
    """
    error = sys.exc_info()[1]
    if isinstance(error, Retry):
        return _outcome("RETRY", error)
    if isinstance(error, Exception):
        return _outcome_of_failure(error)
    is_of_main_process = _pool_pid is None and isinstance(error, (SystemExit, KeyboardInterrupt))
    return LOST if is_of_main_process else None, type(error).__name__


@_handler
def on_revoked(sender: Any, request: Any, signum: Any = None, **_: Any) -> None:
    """Count a task that was revoked or expired before it started, or terminated since."""
    if signum == _SOFT_TIME_LIMIT:
        # The task gets an exception, and its process counts how it ends.
        return
    queue = queue_of_delivery(vars(request), request.delivery_info)
    started_at = getattr(request, STARTED_AT, None)
    seconds = max(0.0, time.time() - started_at) if started_at else UNKNOWN
    TASK_RUN.record_valid((sender.name, queue, REVOKED, ""), (1.0, seconds))


@_handler
def on_worker_init(**_: Any) -> None:
    """Know the worker's main process, which runs the tasks itself unless the pool is prefork."""
    global _main_pid
    _main_pid = os.getpid()
    # A process that only publishes needs nothing of the worker's modules.
    from tachikoma_metrics.task_runs import celery_requests

    celery_requests.install()


@_handler
def on_pool_process_init(**_: Any) -> None:
    """Know that this is a process of the prefork pool; the solo pool sends the signal too."""
    global _pool_pid
    if os.getpid() != _main_pid:
        _pool_pid = os.getpid()


@_handler
def on_worker_ready(sender: Any, **_: Any) -> None:
    """Have the failures of every task that the app knows start at zero.

    So the first failure is an increase.
    """
    app = sender.app
    for name in own_tasks(app):
        facts = (name, queue_of_task(app, name), FAILURE, "")
        TASK_RUN.record_valid(facts, (0.0, UNKNOWN))


@_handler
def on_beat_init(sender: Any, **_: Any) -> None:
    """Measure the scheduler of a beat that starts."""
    celery_beat.watch(sender.scheduler)
