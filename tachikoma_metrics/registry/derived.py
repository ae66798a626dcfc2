"""Metrics of views, which are derived from others when they are exposed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from tachikoma_metrics.catalogue.definitions import Counter, Gauge, Histogram
from tachikoma_metrics.catalogue.views import DerivedLabel, DerivedMetric
from tachikoma_metrics.conf.views import look_up
from tachikoma_metrics.registry.guarded_metrics import GuardedMetric
from tachikoma_metrics.registry.projections import Projection, Rename, Values
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
    projection = Projection(_declaration(metric), partial(_renaming, metric), metric.needed_labels)
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
        native=stored.native,
    )
    return Projection(declaration, partial(_selecting, shape.label_names), ())


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


def _renaming(metric: DerivedMetric, names: tuple[str, ...]) -> Rename:
    """Return what renames label sets whose labels have these names."""
    labels = [(_place(names, label.source_name), _Renamed(label)) for label in metric.labels]
    skipped = [(_place(names, name), values) for name, values in metric.skipped.items()]

    def rename(values: Values) -> Values | None:
        row = (*values, "")
        if any(row[place] in left_out for place, left_out in skipped):
            return None
        return tuple([renamed[row[place]] for place, renamed in labels])

    return rename


class _Renamed(dict[str, str]):
    """Remember the values of a label by those of its source."""

    def __init__(self, label: DerivedLabel) -> None:
        self._label = label

    def __missing__(self, given: str) -> str:
        value = self[given] = self._label.value(given, look_up)
        return value


def _selecting(wanted: tuple[str, ...], names: tuple[str, ...]) -> Rename:
    """Return what selects some labels of label sets whose labels have these names."""
    places = [_place(names, name) for name in wanted]

    def select(values: Values) -> Values:
        row = (*values, "")
        return tuple([row[place] for place in places])

    return select


def _place(names: tuple[str, ...], name: str) -> int:
    """Return the place of a label in a label set, to which an empty value is appended."""
    return names.index(name) if name in names else -1


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
