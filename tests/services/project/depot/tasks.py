from __future__ import annotations

from celery import shared_task
from celery.exceptions import SoftTimeLimitExceeded
from django.core.cache import caches
from django.db import connection
from prometheus_client import Counter

from depot import executions, metrics

deliveries = Counter("depot_deliveries", "Deliveries made.")


@shared_task  # type: ignore[untyped-decorator]
def deliver() -> None:
    """Deliver what was sold; the worker sells on its way, too."""
    deliveries.inc()
    metrics.sell("worker")


@shared_task  # type: ignore[untyped-decorator]
def execute() -> None:
    """Execute something."""
    executions.execute()


@shared_task  # type: ignore[untyped-decorator]
def execute_slowly() -> None:
    """Execute something that takes its time."""
    executions.execute_slowly()


@shared_task  # type: ignore[untyped-decorator]
def work(kind: str) -> str:
    """Ask the database, or a cache, until it takes too long."""
    try:
        cursor = connection.cursor()
        while True:
            if kind == "queries":
                cursor.execute("SELECT 1")
            else:
                caches["default"].get("nothing")
    except SoftTimeLimitExceeded:
        return "in time"
