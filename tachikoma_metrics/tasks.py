"""The task that refreshes the business counts; Celery finds it in ``INSTALLED_APPS``."""

from __future__ import annotations

from typing import Any

from celery import shared_task
from celery.signals import worker_init, worker_ready

from tachikoma_metrics import business, conf
from tachikoma_metrics.celery import TASK, options
from tachikoma_metrics.page.worker_server import serve_metrics
from tachikoma_metrics.registry import METRICS


@shared_task(name=TASK, ignore_result=True)  # type: ignore[untyped-decorator]  # Celery has no types.
def refresh_business_metrics() -> bool:
    """Count everything anew, unless that was done less than an interval ago.

    Returns whether it was. Raises if the counts cannot be kept, for Celery to tell.
    """
    try:
        min_age = business.min_age(conf.config().business_interval)
        return business.refresh(min_age) is not None
    except Exception as error:
        METRICS.count_error("business", error)
        raise


@worker_init.connect(dispatch_uid=__name__)  # type: ignore[untyped-decorator]  # Celery has no types.
def _begin_serving(**kwargs: Any) -> None:
    """Have this process, and those that it forks, known as ones that serve."""
    try:
        METRICS.begin_serving()
    except Exception as error:
        METRICS.count_error("settings", error)


@worker_ready.connect(dispatch_uid=__name__)  # type: ignore[untyped-decorator]  # Celery has no types.
def _begin(sender: Any = None, **kwargs: Any) -> None:
    """Serve this host's page, and have the counts refreshed that aged while nobody worked."""
    serve_metrics()
    config = conf.config()
    if sender is None or not config.enabled or not config.has_business_metrics:
        return
    try:
        sender.app.send_task(TASK, **options())
    except Exception as error:
        METRICS.count_error("business", error)
