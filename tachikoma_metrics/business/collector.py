"""How a scrape exports the business metrics: from the snapshot, without counting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.business.declarations import CATALOGUED
from tachikoma_metrics.business.snapshot import CountedMetric, Snapshot
from tachikoma_metrics.business.snapshot_reader import SnapshotReader
from tachikoma_metrics.catalogue.definitions import Gauge
from tachikoma_metrics.registry import METRICS, ScrapeFunction
from tachikoma_metrics.store import STORE

READER = SnapshotReader()


class BusinessCollector(Collector):
    """Exports the business metrics that are not in the catalogue."""

    def describe(self) -> Iterable[Metric]:
        """Reserve no names: the snapshot is not read."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return the metrics of the snapshot that are not stale."""
        if not is_enabled():
            return []
        catalogued = {gauge.name for gauge in CATALOGUED}
        return [_gauge(metric) for metric in _fresh_metrics() if metric.name not in catalogued]


COLLECTOR = BusinessCollector()
"""The only collector of the process: ``AppConfig.ready`` may run several times."""


def is_enabled() -> bool:
    """Return whether the settings declare business metrics."""
    config = conf.config()
    return config.enabled and config.has_business_metrics


def _fresh_metrics() -> list[CountedMetric]:
    found, _ = READER.read()
    oldest = time.time() - conf.config().business_lifetime
    return [metric for metric in found.metrics if metric.at >= oldest]


def _gauge(metric: CountedMetric) -> Metric:
    gauge = GaugeMetricFamily(metric.name, metric.help, labels=metric.labels)
    for values, number in metric.counts.items():
        gauge.add_metric(values, number)
    return gauge


# --- metrics of the catalogue -----------------------------------------------


def _counts_of(gauge: Gauge, label_names: tuple[str, ...]) -> Mapping[tuple[str, ...], float]:
    """Return the values of a metric by the labels that ``LABELS`` keeps."""
    counts: dict[tuple[str, ...], float] = {}
    metrics = _fresh_metrics() if is_enabled() else []
    for metric in metrics:
        if metric.name == gauge.name:
            for values, number in metric.counts.items():
                named = dict(zip(metric.labels, values, strict=True))
                key = tuple(named.get(name, "") for name in label_names)
                counts[key] = counts.get(key, 0.0) + number
    return counts


HealthFunction = Callable[[Snapshot, bool], float | None]
"""The value of a gauge by the snapshot, and by whether the store could be read."""

_HEALTH: dict[Gauge, HealthFunction] = {
    catalogue.BUSINESS_UP: lambda _, is_up: float(is_up),
    catalogue.BUSINESS_TIMESTAMP: lambda found, _: found.taken_at or None,
    catalogue.BUSINESS_REFRESH_DURATION: lambda found, _: (
        found.duration if found.taken_at else None
    ),
    catalogue.BUSINESS_REFRESH_ERRORS: lambda found, _: (
        float(len(found.failed)) if found.taken_at else None
    ),
}


def _scrape_function(health: HealthFunction) -> ScrapeFunction:
    def scrape(_: tuple[str, ...]) -> Mapping[tuple[str, ...], float]:
        value = health(*READER.read()) if is_enabled() else None
        return {} if value is None else {(): value}

    return scrape


def install() -> None:
    """Export the business metrics from the next scrape on; reads nothing now."""
    if COLLECTOR not in METRICS.registry._collector_to_names:
        METRICS.registry.register(COLLECTOR)
    METRICS.activate([catalogue.TASK_QUEUE_LENGTH.name])
    for gauge in CATALOGUED:
        METRICS.set_function(gauge, partial(_counts_of, gauge))
    for gauge, health in _HEALTH.items():
        METRICS.set_function(gauge, _scrape_function(health))
    METRICS.on_reset(READER.expire)
    STORE.on_fork(READER.forget)
