"""Custom collectors, and what is exposed of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import OPENMETRICS, TEXT, Format
from tachikoma_metrics.exposition.parse import parse_text
from tests.exposition import strict


class Yielding(Collector):
    """A custom collector of these families."""

    def __init__(self, *families: Metric) -> None:
        self.families = families

    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        yield from self.families


def errors(exposition: str) -> dict[str, float]:
    """Return the errors that an exposition counts, by source; those of itself are among them."""
    return {
        dict(labels)["source"]: value
        for (name, labels), value in parse_text(exposition).items()
        if name == "tachikoma_metrics_errors_total"
    }


FORMATS = pytest.mark.parametrize("format", [TEXT, OPENMETRICS], ids=["text", "openmetrics"])
Lines = dict[str, float]


def lines(exposition: str, format: Format[str]) -> Lines:
    """Return the samples of an exposition, as they are written; raise if it is invalid."""
    strict.read(exposition, format)
    samples = [
        line.partition(" # ")[0] for line in exposition.split("\n") if line[:1] not in ("#", "")
    ]
    found: Lines = {}
    for line in samples:
        series, _, rest = line.rpartition("} ") if "} " in line else line.partition(" ")
        found[series + "}" * ("} " in line)] = float(rest.split(" ")[0])
    return found


def exposed(
    registry: CollectorRegistry, format: Format[str], *families: Any
) -> tuple[Lines, float]:
    """Return the exposed samples of ``families``, and the number of errors."""
    registry.register(Yielding(*families))
    exposition = METRICS.expose(format)
    shown = lines(exposition, format)
    assert "tachikoma_metrics_processes" in shown
    error_count = sum(
        value for name, value in shown.items() if name.startswith("tachikoma_metrics_errors_total")
    )
    own = {name: value for name, value in shown.items() if name.startswith("own")}
    return own, error_count


def family(name: str, type: str, *samples: Sample, unit: str = "") -> Metric:
    metric = Metric(name, "Own.", type)
    metric.unit = unit
    metric.samples = list(samples)
    return metric


GOOD = Sample("own", {"kind": "good"}, 1)
SHOWN = {'own{kind="good"}': 1.0}


def buckets(*pairs: tuple[Any, float], **labels: str) -> list[Sample]:
    return [Sample("own_bucket", {**labels, "le": bound}, value) for bound, value in pairs]
