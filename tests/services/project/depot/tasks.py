from __future__ import annotations

from celery import shared_task
from prometheus_client import Counter

from depot import metrics

deliveries = Counter("depot_deliveries", "Deliveries made.")


@shared_task  # type: ignore[untyped-decorator]
def deliver() -> None:
    """Deliver what was sold; the worker sells on its way, too."""
    deliveries.inc()
    metrics.sell("worker")
