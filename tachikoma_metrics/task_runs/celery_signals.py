"""Celery's signals, recorded as sends, waits and runs of tasks.

A run begins with ``task_prerun`` and ends with ``task_postrun``, both in the process that runs
the task. A process of the prefork pool that is killed, or that passes a hard time limit, ends
without telling an outcome: the pool's main process tells it by ``task_failure``. A task that is
revoked before it starts never runs, and the worker tells it by ``task_revoked``.

https://docs.celeryq.dev/en/stable/userguide/signals.html
"""

from __future__ import annotations

import functools
import time
import weakref
from collections.abc import Callable
from time import perf_counter
from typing import Any, TypeVar, cast

from billiard.exceptions import SoftTimeLimitExceeded, TimeLimitExceeded, WorkerLostError
from celery import signals

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
from tachikoma_metrics.recording.subclasses import is_measured_class, measured_subclass, set_class
from tachikoma_metrics.recording.tasks import TASK_RUN, TASK_SEND, TASK_WAIT
from tachikoma_metrics.registry import METRICS, UNKNOWN
from tachikoma_metrics.task_runs import celery_beat
from tachikoma_metrics.task_runs.celery_messages import (
    EAGER,
    queue_of_delivery,
    queue_of_publication,
    seconds_waited,
    stamp,
    stamped_queue,
)
from tachikoma_metrics.task_runs.run import Run, record_success

_MOST_CLASSES = 64

_RUN = "_tachikoma_metrics_run"
"""The attribute of a task's request that holds its run."""

_OUTCOMES = {
    "SUCCESS": SUCCESS,
    "FAILURE": FAILURE,
    "RETRY": RETRY,
    "REJECTED": REJECTED,
    "IGNORED": IGNORED,
}

_received: weakref.WeakValueDictionary[str, Any] = weakref.WeakValueDictionary()
"""The requests that the worker's main process holds, by task id."""

_ended: weakref.WeakSet[Any] = weakref.WeakSet()
"""Those of them whose end was counted in that process: Celery may tell it twice."""

_is_pool_process = False
"""Whether this is a process of the prefork pool, which another process watches."""


Handler = TypeVar("Handler", bound=Callable[..., None])


def _handler(handler: Handler) -> Handler:
    """Return ``handler`` such that it raises nothing, and does nothing if ``TASKS`` is off."""

    @functools.wraps(handler)
    def guarded(**facts: Any) -> None:
        try:
            if config().measures_tasks_of("celery"):
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
        (signals.task_received, on_received),
        (signals.task_failure, on_failure),
        (signals.task_revoked, on_revoked),
        (signals.worker_process_init, on_pool_process_init),
        (signals.worker_ready, on_worker_ready),
        (signals.beat_init, on_beat_init),
    ):
        signal.connect(handler, weak=False, dispatch_uid=f"{__name__}.{handler.__name__}")
    METRICS.activate(catalogue.RECORDED_BY_TASK_SYSTEMS)


@_handler
def on_before_publish(
    headers: dict[str, Any], routing_key: Any = None, declare: Any = None, **_: Any
) -> None:
    """Stamp a message that is about to be sent."""
    stamp(headers, queue_of_publication(declare, routing_key))


@_handler
def on_after_publish(
    sender: Any, headers: dict[str, Any], routing_key: Any = None, **_: Any
) -> None:
    """Count a message that was sent."""
    queue = stamped_queue(headers)
    TASK_SEND.record_valid((str(sender), str(routing_key) if queue is None else queue), (1.0,))


@_handler
def on_prerun(task: Any, **_: Any) -> None:
    """Begin a run, and record how long its task waited."""
    request = task.request
    now = perf_counter()
    if request.is_eager:
        run = Run(EAGER, now)
    else:
        run = Run(queue_of_delivery(vars(request), request.delivery_info), now)
    setattr(request, _RUN, run)
    TASK_RUN.begin(run, now)
    waited = None if request.is_eager else seconds_waited(request)
    if waited is not None:
        TASK_WAIT.record_valid((run.queue, task.name), (waited,), None, now)


@_handler
def on_postrun(task: Any, retval: Any = None, state: Any = None, **_: Any) -> None:
    """End a run with the outcome that Celery gives it."""
    run: Run | None = vars(task.request).pop(_RUN, None)
    if run is None:
        return
    if state is None and _is_pool_process:
        # The process is being ended, and the pool's main process counts how.
        TASK_RUN.abandon(run)
        return
    now = perf_counter()
    outcome, error = _outcome(state, retval)
    facts = (task.name, run.queue, outcome, error)
    TASK_RUN.record_valid(facts, (1.0, now - run.started_at), run, now)
    if outcome == SUCCESS:
        record_success(task.name, time.time())


def _outcome(state: Any, retval: Any) -> tuple[str, str]:
    """Return the outcome of a run that Celery knows, and the class name of its exception."""
    outcome = _OUTCOMES.get(state, LOST)
    if outcome == RETRY:
        cause = getattr(retval, "exc", None)
        return RETRY, "" if cause is None else type(cause).__name__
    if outcome != FAILURE:
        return outcome, ""
    is_timeout = isinstance(retval, SoftTimeLimitExceeded)
    return TIMEOUT if is_timeout else FAILURE, type(retval).__name__


@_handler
def on_received(request: Any, **_: Any) -> None:
    """Remember a request for as long as the worker holds it, and watch how it ends."""
    _received[request.id] = request
    kind: Any = type(request)
    if not is_measured_class(kind):
        set_class(request, _watched(kind))


@functools.lru_cache(_MOST_CLASSES)
def _watched(original: Any) -> Any:
    """Return a subclass of a request's class that counts a run whose process was killed.

    Celery sends no signal of one that goes back to its queue, as ``reject_on_worker_lost`` has
    it, or that is sent again.
    """

    @functools.wraps(original.on_failure)
    def on_failure(request: Any, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super(watched, request).on_failure(exc_info, *args, **kwargs)
        finally:
            _count_if_lost(request, exc_info)

    watched: Any = measured_subclass(original, {"on_failure": on_failure})
    return watched


def _count_if_lost(request: Any, exc_info: Any) -> None:
    try:
        error = exc_info.exception
        error = getattr(error, "exc", error)
        if isinstance(error, WorkerLostError) and config().measures_tasks_of("celery"):
            _count_ended(request.task.name, request.id, LOST, error)
    except Exception as fault:
        METRICS.count_error("task", fault)


@_handler
def on_failure(sender: Any, task_id: str, exception: Any = None, **_: Any) -> None:
    """Count a run whose process was killed, or passed a hard time limit.

    What the process that ran the task counts itself, every other failure, is left to it.
    """
    if isinstance(exception, TimeLimitExceeded):
        _count_ended(sender.name, task_id, TIMEOUT, exception)
    elif isinstance(exception, WorkerLostError):
        _count_ended(sender.name, task_id, LOST, exception)


@_handler
def on_revoked(sender: Any, request: Any, **_: Any) -> None:
    """Count a task that was revoked or expired before it started, or terminated since."""
    queue = queue_of_delivery(vars(request), request.delivery_info)
    _count_ended(sender.name, request.id, REVOKED, None, queue)


def _count_ended(name: str, task_id: str, outcome: str, exception: Any, queue: str = "") -> None:
    """Count, once for each request, an end that the worker's main process tells."""
    request = _received.get(task_id)
    seconds = UNKNOWN
    if request is not None:
        if request in _ended:
            return
        _ended.add(request)
        queue = queue_of_delivery(request.request_dict, request.delivery_info)
        if request.time_start:
            seconds = max(0.0, time.time() - request.time_start)
    error = "" if exception is None else type(exception).__name__
    TASK_RUN.record_valid((name, queue, outcome, error), (1.0, seconds))


@_handler
def on_pool_process_init(**_: Any) -> None:
    """Know that this is a process of the prefork pool."""
    global _is_pool_process
    _is_pool_process = True


@_handler
def on_worker_ready(sender: Any, **_: Any) -> None:
    """Have the failures of every task that the app knows start at zero.

    So the first failure is an increase.
    """
    app = sender.app
    for name in app.tasks:
        if not name.startswith("celery."):
            queue = app.amqp.router.route({}, name).get("queue")
            facts = (name, str(getattr(queue, "name", queue) or ""), FAILURE, "")
            TASK_RUN.record_valid(facts, (0.0, UNKNOWN))


@_handler
def on_beat_init(sender: Any, **_: Any) -> None:
    """Measure the scheduler of a beat that starts."""
    celery_beat.watch(sender.scheduler)
