"""Runs whose end the main process of a worker counts.

A pool process that is killed, or that passes a hard time limit, counts nothing: the main process
sees the end of its request. Celery calls a method of the request then, but sends a signal only
of some of these ends: none of a run that is cancelled by a cold shutdown, or that goes back to
its queue because its process was killed. So methods of Celery's requests are replaced by ones
that count first, which costs a run that ends otherwise nothing. Each request is counted once.

https://docs.celeryq.dev/en/stable/userguide/workers.html#worker-shutdown
"""

from __future__ import annotations

import functools
import time
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.worker.request import Request

from tachikoma_metrics.catalogue.tasks import LOST, TIMEOUT
from tachikoma_metrics.conf import config
from tachikoma_metrics.recording.tasks import TASK_RUN
from tachikoma_metrics.registry import METRICS, UNKNOWN
from tachikoma_metrics.task_runs import celery_counted
from tachikoma_metrics.task_runs.celery_messages import STARTED_AT, queue_of_delivery
from tachikoma_metrics.task_runs.replacing import is_measured, replacement

_IS_ENDED = "_tachikoma_metrics_is_ended"
"""The attribute of a request whose end was counted."""

_DEATHS = (WorkerLostError, SystemExit, KeyboardInterrupt)
"""The exceptions by which the pool reports a process that ended during a run."""


def install() -> None:
    """Count the ends of the requests of this process; twice changes nothing."""
    if is_measured(Request.on_failure):
        return
    for name, before in (
        ("on_failure", _on_failure),
        ("on_timeout", _on_timeout),
        ("cancel", _on_cancel),
        ("terminate", _on_terminate),
    ):
        setattr(Request, name, _preceded(getattr(Request, name), before))


def _preceded(original: Any, before: Any) -> Any:
    """Return a method of requests that calls ``before``, which raises nothing, and ``original``."""

    def method(request: Any, *args: Any, **options: Any) -> Any:
        try:
            if config().measures_celery:
                before(request, *args, **options)
        except Exception as error:
            METRICS.count_error("task", error)
        return original(request, *args, **options)

    return replacement(original, functools.wraps(original)(method))


def _on_failure(request: Any, exc_info: Any, *_: Any, return_ok: bool = False, **__: Any) -> None:
    # With ``return_ok``, the pool process has reported how the run ended.
    if not return_ok and _is_death(exc_info):
        _count(request, LOST, WorkerLostError.__name__)


def _on_timeout(request: Any, soft: Any, *_: Any, **__: Any) -> None:
    if not soft:
        _count(request, TIMEOUT, TimeLimitExceeded.__name__)


def _on_cancel(request: Any, *_: Any, **__: Any) -> None:
    if request.time_start:
        _count(request, LOST, WorkerLostError.__name__)


def _on_terminate(request: Any, *_: Any, **__: Any) -> None:
    # The signal ``task_revoked``, which counts the run, gets the context alone.
    setattr(request._context, STARTED_AT, request.time_start)


def _is_death(exc_info: Any) -> bool:
    """Tell whether the pool reports a process that ended, rather than a task that failed."""
    error = getattr(exc_info, "exception", None)
    # Celery has an exception that carries a traceback around the one that was raised.
    return isinstance(getattr(error, "exc", error), _DEATHS)


def _count(request: Any, outcome: str, error: str) -> None:
    """Count the end of a run, unless it was counted before."""
    if _is_counted(request):
        return
    setattr(request, _IS_ENDED, True)
    queue = queue_of_delivery(request.request_dict, request.delivery_info)
    facts = (request.task.name, queue, outcome, error)
    TASK_RUN.record_valid(facts, (1.0, _seconds(request)))


def _is_counted(request: Any) -> bool:
    if getattr(request, _IS_ENDED, False) or request._already_revoked:
        return True
    retries = request.request_dict.get("retries")
    return celery_counted.is_noted(request.worker_pid, request.id, retries)


def _seconds(request: Any) -> float:
    """Return the seconds since the run began, as far as the main process knows."""
    return max(0.0, time.time() - request.time_start) if request.time_start else UNKNOWN
