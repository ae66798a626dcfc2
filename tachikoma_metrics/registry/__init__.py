"""The metrics of the catalogue, bound to prometheus_client and to the store.

Other folders record through an ``Event``, or through the prometheus_client object that
``METRICS`` has under the name of a metric.
"""

from __future__ import annotations

from tachikoma_metrics.registry.counterparts import Counterpart
from tachikoma_metrics.registry.events import Event
from tachikoma_metrics.registry.guarded_metrics import ScrapeFunction
from tachikoma_metrics.registry.metrics import METRICS, Metrics
from tachikoma_metrics.registry.store_hooks import install
from tachikoma_metrics.store import UNKNOWN, Cell, Progress, SeriesGroup

__all__ = [
    "METRICS",
    "UNKNOWN",
    "Cell",
    "Counterpart",
    "Event",
    "Metrics",
    "Progress",
    "ScrapeFunction",
    "SeriesGroup",
    "install",
]
