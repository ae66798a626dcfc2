"""What this project counts with prometheus_client alone."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import REGISTRY, Counter, Histogram, Summary
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

sales = Counter("depot_sales", "Things sold.", ["seller"])
prices = Histogram("depot_price", "What things cost.", buckets=(1, 10, 100))
weights = Summary("depot_weight", "What things weigh.")


class Stock(Collector):
    """Ask whoever knows, at each scrape."""

    def collect(self) -> Iterator[Metric]:
        """Yield what is in stock."""
        yield GaugeMetricFamily("depot_stock", "Things in stock.", value=42)


REGISTRY.register(Stock())


def sell(seller: str) -> None:
    """Count one thing that was sold."""
    sales.labels(seller).inc()
    prices.observe(5)
    weights.observe(0.5)
