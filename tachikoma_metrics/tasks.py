"""The task that refreshes the business metrics; Celery finds it in ``INSTALLED_APPS``."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import beat_init, worker_init, worker_ready

from tachikoma_metrics import business, conf
from tachikoma_metrics.celery import TASK, options
from tachikoma_metrics.page.worker_server import serve_metrics
from tachikoma_metrics.registry import METRICS


@shared_task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types.
def refresh_business_metrics() -> bool:
    """Refresh the business metrics, unless the last refresh is less than an interval ago.

    Returns whether they were refreshed. Raises if they cannot be stored, so that Celery reports it.
    """
    try:
        min_age = business.min_age(conf.config().business_interval)
        return business.refresh(min_age) is not None
    except Exception as error:
        METRICS.count_error("business", error)
        raise


@beat_init.connect(dispatch_uid=__name__)  # type: ignore[untyped-decorator]  # Celery has no types.
def _on_beat_init(**kwargs: Any) -> None:
    """Serve the metrics of this host in beat, unless a worker does."""
    _on_worker_init()
    serve_metrics()


@worker_init.connect(dispatch_uid=__name__)  # type: ignore[untyped-decorator]  # Celery has no types.
def _on_worker_init(**kwargs: Any) -> None:
    """Mark this process, and those that it forks, as ones that serve."""
    try:
        METRICS.begin_serving()
    except Exception as error:
        METRICS.count_error("settings", error)


@worker_ready.connect(dispatch_uid=__name__)  # type: ignore[untyped-decorator]  # Celery has no types.
def _on_worker_ready(sender: Any = None, **kwargs: Any) -> None:
    """Serve the metrics of this host, and refresh business metrics that became stale meanwhile."""
    serve_metrics()
    config = conf.config()
    if sender is None or not config.enabled or not config.has_business_metrics:
        return
    try:
        sender.app.send_task(TASK, **options())
    except Exception as error:
        METRICS.count_error("business", error)
