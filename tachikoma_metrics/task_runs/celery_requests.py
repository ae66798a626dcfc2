"""Runs whose end the main process of a worker counts.

A pool process that is killed, or that passes a hard time limit, counts nothing: the main process
sees the end of its request. Celery calls a method of the request then, but sends a signal only
of some of these ends: none of a run that is cancelled by a cold shutdown, or that goes back to
its queue because its process was killed. So the request's class is replaced by a subclass whose
methods count, and each request is counted once.

https://docs.celeryq.dev/en/stable/userguide/workers.html#worker-shutdown
"""

from __future__ import annotations

import functools
import time
from typing import Any

from billiard.exceptions import WorkerLostError

from tachikoma_metrics.catalogue.tasks import LOST, TIMEOUT
from tachikoma_metrics.conf import config
from tachikoma_metrics.recording.subclasses import derived, give, is_derived
from tachikoma_metrics.recording.tasks import TASK_RUN
from tachikoma_metrics.registry import METRICS, UNKNOWN
from tachikoma_metrics.task_runs import celery_counted
from tachikoma_metrics.task_runs.celery_messages import queue_of_delivery

_WATCHED = "_tachikoma_metrics_watched"
"""The attribute of a request's class that holds its subclass."""

_IS_ENDED = "_tachikoma_metrics_is_ended"
"""The attribute of a request whose end was counted."""

_DEATHS = (WorkerLostError, SystemExit, KeyboardInterrupt)
"""The exceptions by which the pool reports a process that ended during a run."""


def watch(request: Any) -> None:
    """Count the end of a request that the worker has received, unless a pool process does."""
    kind: Any = type(request)
    if is_derived(kind):
        return
    watched = vars(kind).get(_WATCHED)
    if watched is None:
        # Celery makes a class for each task: in the class itself, it is freed with it.
        watched = _watched(kind)
        setattr(kind, _WATCHED, watched)
    give(request, watched)


def _watched(original: Any) -> Any:
    """Return a subclass of a request's class that counts how its requests end."""

    @functools.wraps(original.on_failure)
    def on_failure(request: Any, exc_info: Any, *args: Any, **options: Any) -> Any:
        # With ``return_ok``, the pool process has reported how the run ended.
        if not options.get("return_ok"):
            _count(request, LOST, _death(exc_info))
        return super(watched, request).on_failure(exc_info, *args, **options)

    @functools.wraps(original.on_timeout)
    def on_timeout(request: Any, soft: Any, timeout: Any) -> Any:
        if not soft:
            _count(request, TIMEOUT, "TimeLimitExceeded")
        return super(watched, request).on_timeout(soft, timeout)

    @functools.wraps(original.cancel)
    def cancel(request: Any, *args: Any, **kwargs: Any) -> Any:
        if request.time_start:
            _count(request, LOST, "WorkerShutdown")
        return super(watched, request).cancel(*args, **kwargs)

    watched: Any = derived(
        original, {"on_failure": on_failure, "on_timeout": on_timeout, "cancel": cancel}
    )
    return watched


def _death(exc_info: Any) -> str:
    """Return the class name of the exception of a process that ended, else an empty string."""
    error = getattr(exc_info, "exception", None)
    # Celery has an exception that carries a traceback around the one that was raised.
    error = getattr(error, "exc", error)
    return WorkerLostError.__name__ if isinstance(error, _DEATHS) else ""


def _count(request: Any, outcome: str, error: str) -> None:
    """Count the end of a run, unless it was counted before. Never raises."""
    try:
        if error and config().measures_tasks_of("celery") and not _is_counted(request):
            setattr(request, _IS_ENDED, True)
            queue = queue_of_delivery(request.request_dict, request.delivery_info)
            facts = (request.task.name, queue, outcome, error)
            TASK_RUN.record_valid(facts, (1.0, _seconds(request)))
    except Exception as fault:
        METRICS.count_error("task", fault)


def _is_counted(request: Any) -> bool:
    if getattr(request, _IS_ENDED, False) or request._already_revoked:
        return True
    retries = request.request_dict.get("retries")
    return celery_counted.is_noted(request.worker_pid, request.id, retries)


def _seconds(request: Any) -> float:
    """Return the seconds since the run began, as far as the main process knows."""
    return max(0.0, time.time() - request.time_start) if request.time_start else UNKNOWN
