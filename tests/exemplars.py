"""The exemplars of an exposition."""

from __future__ import annotations

from typing import NamedTuple

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import OPENMETRICS

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{SPAN}-01"
LABELS = {"trace_id": TRACE, "span_id": SPAN}


class Found(NamedTuple):
    """An exemplar, with the labels of its sample."""

    sample: dict[str, str]
    labels: dict[str, str]
    value: float
    timestamp: float


def exemplars_of(name: str, text: str = "") -> list[Found]:
    """Return the exemplars of the samples of this name, in the metrics endpoint's order."""
    text = text or METRICS.expose(OPENMETRICS)
    return [
        Found(
            sample.labels,
            sample.exemplar.labels,
            sample.exemplar.value,
            float(sample.exemplar.timestamp or 0),
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.exemplar
    ]


def labels_in(name: str) -> list[dict[str, str]]:
    """Return the labels of the exemplars of the samples of this name."""
    return [found.labels for found in exemplars_of(name)]
