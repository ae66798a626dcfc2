"""Celery's workers and beat: they serve ``WORKER_PORT``, and know the refreshing task.

Whichever packages the project has Celery look for tasks in: that list need not name this one.
"""

from __future__ import annotations

import sys
from typing import Any

from tachikoma_metrics import conf
from tachikoma_metrics.celery import TASK, options
from tachikoma_metrics.page.worker_server import serve_metrics
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.task_runs.imports import call_after_import

_SIGNALS = "celery.signals"


def install() -> None:
    """Receive the signals of workers and beat once Celery is imported, which may be now."""
    if _SIGNALS in sys.modules:
        _connect()
    else:
        call_after_import(_SIGNALS, _connect)


def _connect() -> None:
    from celery import signals

    for signal, handler in (
        (signals.worker_init, _on_worker_init),
        (signals.worker_ready, _on_worker_ready),
        (signals.beat_init, _on_beat_init),
    ):
        signal.connect(handler, weak=False, dispatch_uid=f"{__name__}.{handler.__name__}")


def _on_worker_init(**_: Any) -> None:
    """Mark this process, and those that it forks, as ones that serve, and register the task."""
    try:
        # Celery registers the tasks of a module that is imported.
        import tachikoma_metrics.tasks  # noqa: F401

        METRICS.begin_serving()
    except Exception as error:
        METRICS.count_error("settings", error)


def _on_beat_init(**_: Any) -> None:
    """Serve the metrics of this host in beat, unless a worker does."""
    _on_worker_init()
    serve_metrics()


def _on_worker_ready(sender: Any = None, **_: Any) -> None:
    """Serve the metrics of this host, and refresh business metrics that became stale meanwhile."""
    serve_metrics()
    config = conf.config()
    if sender is None or not config.enabled or not config.has_business_metrics:
        return
    try:
        sender.app.send_task(TASK, **options())
    except Exception as error:
        METRICS.count_error("business", error)
