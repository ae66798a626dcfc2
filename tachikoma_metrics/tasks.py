"""The task that refreshes the business metrics; Celery finds it in ``INSTALLED_APPS``."""

from __future__ import annotations

from celery import shared_task

from tachikoma_metrics import business, conf
from tachikoma_metrics.celery import TASK
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
