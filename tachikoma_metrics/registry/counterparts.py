"""Metrics of views, and those of the packages that they replace, while both are counted.

The store has the values of all metrics in all processes, those of another package included. So
both can be compared in any process of the host, although the endpoint exposes only one of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.samples import Sample

from tachikoma_metrics.catalogue.definitions import Histogram
from tachikoma_metrics.catalogue.views import DerivedMetric
from tachikoma_metrics.registry.derived import Derived
from tachikoma_metrics.registry.snapshot import Snapshot

Counts = dict[tuple[tuple[str, str], ...], float]
"""The values of a metric, by the names and values of its labels. Of a histogram, its counts."""


@dataclass(frozen=True)
class Counterpart:
    """Hold the values of a metric of a view, and those of the metric that it replaces.

    What is 0 in both is left out.
    """

    metric: DerivedMetric
    derived: Counts
    replaced: Counts


def counterparts(snapshot: Snapshot, all_derived: Iterable[Derived]) -> Iterator[Counterpart]:
    """Yield each metric of the views with the one that it replaces."""
    for derived in all_derived:
        metric = derived.metric
        replaced = _samples(metric, snapshot.of_project(derived.declaration))
        names = [name for name in metric.label_names if all(name in one.labels for one in replaced)]
        yield Counterpart(
            metric,
            _counts(names, _samples(metric, snapshot.derived(derived))),
            _counts(names, replaced),
        )


def _samples(metric: DerivedMetric, exposed: Iterable[Metric]) -> list[Sample]:
    name = f"{metric.name}_count" if metric.type == Histogram.type else metric.name
    samples = (sample for one in exposed for sample in one.samples)
    return [sample for sample in samples if sample.name == name and sample.value]


def _counts(label_names: Iterable[str], samples: Iterable[Sample]) -> Counts:
    """Return the values by the labels that both have: others, of the project, are summed."""
    counts: Counts = {}
    for sample in samples:
        labels = tuple((name, sample.labels[name]) for name in label_names)
        counts[labels] = counts.get(labels, 0.0) + sample.value
    return counts
