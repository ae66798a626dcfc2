"""prometheus_client's values, in the cells of the store.

Every ``Counter``, ``Gauge``, ``Histogram`` and ``Summary`` that is made in this process, by the
project, django-prometheus or another library, gets values that all processes of the service
share. prometheus_client looks ``values.ValueClass`` up whenever a metric is made, so it can be
replaced at any time; metrics that were made before are moved to the store.

This replaces https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from time import perf_counter
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Summary, values
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from tachikoma_metrics.registry import native_buckets
from tachikoma_metrics.registry.guarded_metrics import is_guarded
from tachikoma_metrics.store import (
    STORE,
    Cell,
    Declaration,
    GaugeCell,
    Native,
    NativeCell,
    Series,
)
from tachikoma_metrics.store.layout import GAUGE, GAUGE_WIDTH, HISTOGRAM
from tachikoma_metrics.store.native_cells import SLOTS

_KINDS = frozenset({Counter, Gauge, Histogram, Summary})
_DEFAULT_GAUGE_MODE = "all"

_numbers = itertools.count(1)


class Value(Cell):
    """One value of a metric that prometheus_client made.

    It is shared if the metric is in prometheus_client's own registry when the value
    first changes. A metric of another registry, as tests make them, keeps its values.
    """

    __slots__ = ("_key", "_number", "_owner")

    _multiprocess = False
    _width = 1

    def __init__(
        self,
        typ: str,
        metric_name: str,
        name: str,
        labelnames: tuple[str, ...],
        labelvalues: tuple[str, ...],
        help_text: str,
        multiprocess_mode: str = "",
        **_: object,
    ) -> None:
        super().__init__(None, width=self._width)
        labels = labelvalues[:-1] if name.endswith("_bucket") and typ == HISTOGRAM else labelvalues
        self._key = (metric_name, tuple(labels))
        self._number = self._owner = next(_numbers)

    @property
    def owner(self) -> int:
        """Return the number of the first value of the metric."""
        return self._owner

    def locate(self) -> Series | None:
        """Return the series that this value belongs to, if its metric is registered."""
        name, labels = self._key
        metric = _metric(REGISTRY._names_to_collectors.get(name), labels)
        own = [] if metric is None else values_of(metric)
        self.series = None
        for offset, value in enumerate(own):
            if metric is not None and value is self:
                self.offset = offset
                self._owner = own[0]._number
                self.series = Series(declaration_of(metric), labels)
        return self.series

    def __del__(self) -> None:
        """Remove the series together with the metric, or with its label set."""
        series = getattr(self, "series", None)
        if series is not None and self._owner == self._number:
            self.store.dropped.append((series, self._number))


class GaugeValue(Value, GaugeCell):
    """The value of a gauge that prometheus_client made."""

    __slots__ = ()

    _width = GAUGE_WIDTH


class NativeSum(Value, NativeCell):
    """The sum of a histogram that prometheus_client made, and that has native buckets.

    It is given each observation, and counts it in its native bucket.
    """

    __slots__ = SLOTS

    def __init__(self, native: Native, *details: Any, **more: Any) -> None:
        super().__init__(*details, **more)
        self._count_natively(native)

    def inc(self, amount: float) -> None:
        """Add an observation."""
        self.observe(amount)


def make_value(typ: str, metric_name: str, name: str, *details: Any, **more: Any) -> Value:
    """Return a value, as calling ``prometheus_client.values.ValueClass`` does."""
    if typ == HISTOGRAM and name == f"{metric_name}_sum":
        native = native_buckets.of_project(metric_name)
        if native is not None:
            return NativeSum(native, typ, metric_name, name, *details, **more)
    return (GaugeValue if typ == GAUGE else Value)(typ, metric_name, name, *details, **more)


def install(on_error: Callable[[Exception, object], None]) -> None:
    """Keep the values of every metric of this process in the store, from now on.

    A metric that exists and cannot be moved there keeps its values; ``on_error`` is called with
    the exception and the metric.
    """
    values.ValueClass = make_value
    # The registry has no public way to its collectors but collecting them.
    for collector in list(REGISTRY._collector_to_names):
        try:
            _move_to_store(collector)
        except Exception as error:
            on_error(error, collector)


def drop_removed() -> None:
    """Remove the series of metrics and label sets that are no longer registered."""
    for series, owner in STORE.owned():
        collector = REGISTRY._names_to_collectors.get(series.declaration.name)
        metric = _metric(collector, series.labels)
        own = [] if metric is None else values_of(metric)
        if not own or getattr(own[0], "_number", owner) != owner:
            STORE.dropped.append((series, owner))


def is_shared(collector: Collector) -> bool:
    """Return whether ``collector`` is a metric whose values are in the store."""
    return _is_metric(collector) and type(collector).collect is MetricWrapperBase.collect


def _is_metric(collector: Collector | None) -> bool:
    # isinstance() takes ten times as long: its class is a protocol.
    return not _KINDS.isdisjoint(type(collector).__mro__)


def renew_lock(collector: Collector) -> None:
    """Replace the locks of a metric, and of its label sets."""
    if isinstance(collector, MetricWrapperBase):
        children = getattr(collector, "_metrics", {}).values()
        for metric in (collector, *children):
            if hasattr(metric, "_lock"):
                metric._lock = threading.Lock()


def values_of(metric: Any) -> list[Any]:
    """Return the values of a metric that has no labels, in the order of its record."""
    if isinstance(metric, Histogram):
        return [metric._sum, *metric._buckets]
    return [metric._count, metric._sum] if isinstance(metric, Summary) else [metric._value]


def declaration_of(metric: Any) -> Declaration:
    """Return what distinguishes ``metric`` from all others in the store."""
    mode = getattr(metric, "_multiprocess_mode", "")
    return Declaration(
        type=metric._type,
        name=metric._name,
        help=str(metric._documentation),
        unit=str(metric._unit),
        labels=tuple(metric._labelnames),
        bounds=tuple(getattr(metric, "_upper_bounds", ())),
        # An explicit default cannot be distinguished from none.
        mode="" if mode == _DEFAULT_GAUGE_MODE else mode,
        native=native_buckets.of_project(metric._name) if metric._type == HISTOGRAM else None,
    )


def _metric(collector: Any, labels: tuple[str, ...]) -> Any:
    if not _is_metric(collector):
        return None
    if not collector._labelnames:
        return None if labels else collector
    return collector._metrics.get(labels)


def _metrics(collector: Any) -> list[Any]:
    if not _is_metric(collector):
        return []
    return list(collector._metrics.values()) if collector._labelnames else [collector]


def _move_to_store(collector: Collector) -> None:
    # A metric of this package is in the store from the first, and has a cell where
    # prometheus_client's classes have values.
    if is_guarded(collector):
        return
    for metric in _metrics(collector):
        if not isinstance(values_of(metric)[0], Cell):
            _move(metric)


def _move(metric: Any) -> None:
    before = values_of(metric)
    created = getattr(metric, "_created", None)
    metric._metric_init()
    if created is not None:
        metric._created = created
    for value, old in zip(values_of(metric), before, strict=True):
        amount = old.get()
        if amount:
            if metric._type == GAUGE:
                value.set(amount)
            else:
                # Not by inc(), which would observe the sum of a histogram.
                value.add(amount, perf_counter())
        if old.get_exemplar() is not None:
            value.set_exemplar(old.get_exemplar())
