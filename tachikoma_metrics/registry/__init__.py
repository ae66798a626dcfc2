"""The catalogue, bound to prometheus_client: the one place that knows where values live.

Everyone else records through an ``Event`` or through the prometheus_client object
that ``METRICS`` has under a family's name.
"""

from __future__ import annotations

from tachikoma_metrics.registry.events import UNKNOWN, Event
from tachikoma_metrics.registry.metrics import METRICS, Metrics

__all__ = ["METRICS", "UNKNOWN", "Event", "Metrics"]
