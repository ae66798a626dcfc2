"""Runs of Celery's tasks, measured around the function by which Celery runs each task.

``build_tracer`` makes that function, for a worker once for each task, and for a task that is
called eagerly with each call. What it makes is wrapped: the signals ``task_prerun`` and
``task_postrun`` have the same facts, and cost several times what is recorded of a run. Other
instruments wrap it as well, and either may be the first.

https://github.com/celery/celery/blob/v5.5.0/celery/app/trace.py
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

from celery import _state

from tachikoma_metrics import conf
from tachikoma_metrics.recording.tasks import TASK_RUN
from tachikoma_metrics.registry import METRICS, Progress
from tachikoma_metrics.task_runs import celery_signals
from tachikoma_metrics.task_runs.celery_runs import (
    begin,
    begin_eager,
    end,
    finish,
    queues_of,
)
from tachikoma_metrics.task_runs.replacing import is_measured, replacement

_TRACE = "celery.app.trace"
_IMPORTS_IT = "celery.worker.consumer.consumer"
"""The module that has the function under a name of its own, if it was imported before."""

_EAGER_PLACE = 4
"""The place of ``eager`` among the arguments after the task."""

Tracer = Callable[..., Any]


def install() -> None:
    """Measure the runs of all tasks.

    By Celery's signals, if this Celery has no such function, and where runs get exemplars: the span
    of a tracer that receives these signals, too, is over when the function returns.
    """
    build: Any = getattr(sys.modules[_TRACE], "build_tracer", None)
    if not callable(build) or conf.config().exemplars is not None:
        celery_signals.receive_runs()
        return
    for module in (sys.modules[_TRACE], sys.modules.get(_IMPORTS_IT)):
        _replace(module)
    for app in _state._get_active_apps():
        for task in list(app._tasks.values()):
            if task.__trace__ is not None and not is_measured(task.__trace__):
                task.__trace__ = _measured(task.__trace__, task.name, is_eager=False)


def _replace(module: Any) -> None:
    build: Any = getattr(module, "build_tracer", None)
    if build is not None and not is_measured(build):
        module.build_tracer = _measuring(build)


def _measuring(build: Callable[..., Tracer]) -> Callable[..., Tracer]:
    """Return a ``build_tracer`` whose results are measured."""

    @functools.wraps(build)
    def build_tracer(name: str, task: Any, *arguments: Any, **options: Any) -> Tracer:
        tracer = build(name, task, *arguments, **options)
        try:
            is_eager = options.get("eager") or arguments[_EAGER_PLACE : _EAGER_PLACE + 1] == (True,)
            return _measured(tracer, task.name, is_eager=bool(is_eager))
        except Exception as error:
            METRICS.count_error("task", error)
            return tracer

    return replacement(build, build_tracer)


def _measured(tracer: Tracer, name: str, *, is_eager: bool) -> Tracer:
    """Return a function that runs a task as ``tracer`` does, and measures the run."""
    queues, start = queues_of(name), begin_eager if is_eager else begin

    def trace_task(uuid: str, args: Any, kwargs: Any, request: Any = None) -> Any:
        started_at = perf_counter()
        run, series, facts = Progress(), None, request or {}
        # An exception from outside may arrive before the first line of a handler is reached.
        try:
            try:
                series = start(queues, name, facts, run, started_at)
                traced = tracer(uuid, args, kwargs, request)
                if series is not None:
                    finish(series, run, started_at, facts, traced)
            except BaseException as error:
                end(series, run, started_at, facts, None, error)
                raise
        except BaseException:
            TASK_RUN.abandon(run)
            raise
        return traced

    return replacement(tracer, trace_task)
