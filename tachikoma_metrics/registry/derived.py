"""Metrics of views, which are derived from others when they are exposed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from tachikoma_metrics.catalogue.definitions import Counter, Gauge, Histogram
from tachikoma_metrics.catalogue.views import DerivedMetric
from tachikoma_metrics.conf.views import look_up
from tachikoma_metrics.registry.guarded_metrics import GuardedMetric
from tachikoma_metrics.registry.projections import Projection, Values
from tachikoma_metrics.registry.shapes import Shape
from tachikoma_metrics.store import Declaration


@dataclass(frozen=True)
class Derived:
    """Pair a metric of a view with the metrics that its values come from."""

    metric: DerivedMetric
    sources: tuple[GuardedMetric, ...]
    projection: Projection
    names: frozenset[str]

    @property
    def declaration(self) -> Declaration:
        """Return what the metric is exposed as."""
        return self.projection.declaration


def derive(metric: DerivedMetric, source_of: Callable[[str], GuardedMetric | None]) -> Derived:
    """Return a metric of a view, with those of its sources that are switched on."""
    sources = tuple(filter(None, map(source_of, metric.sources)))
    projection = Projection(_declaration(metric), partial(_renamed, metric), metric.needed_labels)
    return Derived(metric, sources, projection, _names(metric))


def exposed(metric: GuardedMetric, shape: Shape) -> Projection | None:
    """Return how a metric is exposed that has labels or buckets for views; else None."""
    if not shape.hidden_labels and not shape.hidden_buckets:
        return None
    stored = metric.declaration
    declaration = Declaration(
        stored.type,
        stored.name,
        stored.help,
        stored.unit,
        shape.label_names,
        (*map(float, shape.buckets), math.inf) if shape.buckets else (),
        stored.mode,
        stored.is_builtin,
    )
    return Projection(declaration, partial(_selected, shape.label_names), ())


def _declaration(metric: DerivedMetric) -> Declaration:
    is_counter = metric.type == Counter.type
    return Declaration(
        metric.type,
        metric.name.removesuffix("_total") if is_counter else metric.name,
        metric.help,
        labels=metric.label_names,
        bounds=(*map(float, metric.buckets), math.inf) if metric.buckets else (),
        mode="mostrecent" if metric.type == Gauge.type else "",
    )


def _renamed(metric: DerivedMetric, labels: Mapping[str, str]) -> Values | None:
    if any(labels.get(name) in values for name, values in metric.skipped.items()):
        return None
    return tuple(label.value(labels.get(label.source_name, ""), look_up) for label in metric.labels)


def _selected(names: tuple[str, ...], labels: Mapping[str, str]) -> Values:
    return tuple(labels.get(name, "") for name in names)


def _names(metric: DerivedMetric) -> frozenset[str]:
    return frozenset(_all_names(metric))


def _all_names(metric: DerivedMetric) -> Iterator[str]:
    """Yield every name that the metric takes in an exposition."""
    declared = {kind.type: kind for kind in (Counter, Gauge, Histogram)}[metric.type]
    yield metric.name
    if declared is Histogram:
        yield from (f"{metric.name}{suffix}" for suffix in ("_bucket", "_sum", "_count"))
    elif declared is Counter:
        yield metric.name.removesuffix("_total")
