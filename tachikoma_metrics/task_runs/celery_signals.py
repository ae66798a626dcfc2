"""Celery's signals, recorded as ends of tasks, and the start of its processes.

The runs and publications themselves are measured by ``celery_tracers`` and
``celery_publications``; by signals as well, if a release of Celery should not have what those
two replace. A process of the prefork pool that is killed, or that passes a hard time limit,
sends no outcome: the worker's main process counts it, see ``celery_requests``. A task that is
revoked before it starts never runs, and the main process sends ``task_revoked``.

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

from celery import signals

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.tasks import FAILURE, REVOKED
from tachikoma_metrics.conf import config
from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.recording.tasks import TASK_RUN, TASK_SEND
from tachikoma_metrics.registry import METRICS, UNKNOWN, Progress
from tachikoma_metrics.task_runs import celery_beat, celery_counted
from tachikoma_metrics.task_runs.celery_messages import (
    STARTED_AT,
    queue_of_delivery,
    queue_of_publication,
    stamp,
    stamped_queue,
)
from tachikoma_metrics.task_runs.celery_queues import own_tasks, queue_of_task
from tachikoma_metrics.task_runs.celery_runs import (
    Series,
    begin,
    begin_eager,
    end,
    queues_of,
)

_SOFT_TIME_LIMIT = getattr(system_signals, "SIGUSR1", -1)
"""The signal by which the main process has the pool raise SoftTimeLimitExceeded in a task."""

_main_pid: int | None = None
"""The id of this worker's main process, once it has started."""

_ONE = (1.0,)

_begun: dict[str, list[tuple[Series | None, Progress, float]]] = {}
"""The runs in progress in this process, by task id, and when they began. An eager task that is
retried runs within its first run."""

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
    """Receive the signals of every Celery app in this process that a task does not send."""
    _connect(
        (signals.task_revoked, on_revoked),
        (signals.worker_init, on_worker_init),
        (signals.worker_process_init, on_pool_process_init),
        (signals.worker_ready, on_worker_ready),
        (signals.beat_init, on_beat_init),
    )
    METRICS.activate(catalogue.RECORDED_BY_TASK_SYSTEMS)


def receive_publications() -> None:
    """Measure messages that are published by the signals of Celery."""
    _connect(
        (signals.before_task_publish, on_before_publish),
        (signals.after_task_publish, on_after_publish),
    )


def receive_runs() -> None:
    """Measure runs by the signals of Celery."""
    _connect((signals.task_prerun, on_prerun), (signals.task_postrun, on_postrun))
    _move_to_front(signals.task_postrun, on_postrun)


def _move_to_front(signal: Any, handler: Callable[..., None]) -> None:
    """Have ``handler`` called before receivers that end the span which is a run's exemplar."""
    with suppress(AttributeError, TypeError, ValueError):
        # In place: Celery keeps the list where it runs a task.
        signal.receivers.sort(key=lambda connected: connected[1] is not handler)
        signal.sender_receivers_cache.clear()


def _connect(*connections: tuple[Any, Callable[..., None]]) -> None:
    for signal, handler in connections:
        signal.connect(handler, weak=False, dispatch_uid=f"{__name__}.{handler.__name__}")


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
    TASK_SEND.record_valid((sender, str(routing_key) if queue is None else queue), _ONE)


@_handler
def on_prerun(task_id: str, task: Any, **_: Any) -> None:
    """Begin a run, and record how long its task waited."""
    now, run = perf_counter(), Progress()
    start = begin_eager if task.request.is_eager else begin
    series = start(queues_of(task.name), task.name, vars(task.request), run, now)
    _begun.setdefault(task_id, []).append((series, run, now))


def on_postrun(task_id: str, task: Any, retval: Any = None, state: Any = None, **_: Any) -> None:
    """End a run with the outcome that Celery gives it. Never raises."""
    try:
        series, run, started_at = _begun[task_id].pop()
        result = retval if state else sys.exc_info()[1]
        end(series, run, started_at, vars(task.request), state, result)
        if not _begun[task_id]:
            del _begun[task_id]
    except KeyError:
        # It began before it was measured.
        return
    except Exception as error:
        METRICS.count_error("task", error)


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
    if os.getpid() != _main_pid:
        celery_counted.join_pool(os.getpid())


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
