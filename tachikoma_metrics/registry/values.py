"""prometheus_client's values on the cells of the store.

Whoever makes a ``Counter``, ``Gauge``, ``Histogram`` or ``Summary`` in this process,
the project, django-prometheus, any library, gets values that all processes of the
service share. prometheus_client looks ``values.ValueClass`` up when a metric is made,
so it can be replaced at any time; metrics made before are adopted.

What this takes the place of: https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import Any

from prometheus_client import REGISTRY, Counter, Gauge, Histogram, Summary, values
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.registry import Collector

from tachikoma_metrics.registry.guarded_metrics import is_guarded
from tachikoma_metrics.store import STORE, Cell, Declaration, GaugeCell, Series
from tachikoma_metrics.store.layout import GAUGE, GAUGE_WIDTH, HISTOGRAM

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
        """Return the record of the metric this value belongs to, if that is registered."""
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
        """Have the record removed with the metric, or with its label set."""
        series = getattr(self, "series", None)
        if series is not None and self._owner == self._number:
            self.store.dropped.append((series, self._number))


class GaugeValue(Value, GaugeCell):
    """The value of a gauge that prometheus_client made."""

    __slots__ = ()

    _width = GAUGE_WIDTH


def make_value(typ: str, *details: Any, **more: Any) -> Value:
    """Return a value, as calling ``prometheus_client.values.ValueClass`` does."""
    return (GaugeValue if typ == GAUGE else Value)(typ, *details, **more)


def install(on_error: Callable[[Exception, object], None]) -> None:
    """Have every metric of this process on the store, those that exist included.

    A metric that cannot be moved there keeps its values; ``on_error`` is told the exception
    and the metric.
    """
    values.ValueClass = make_value
    # The registry offers no way to its collectors but collecting them.
    for collector in list(REGISTRY._collector_to_names):
        try:
            _adopt_all(collector)
        except Exception as error:
            on_error(error, collector)


def drop_removed() -> None:
    """Have the records of metrics and label sets removed that are registered no more."""
    for series, owner in STORE.owned():
        collector = REGISTRY._names_to_collectors.get(series.declaration.name)
        metric = _metric(collector, series.labels)
        own = [] if metric is None else values_of(metric)
        if not own or getattr(own[0], "_number", owner) != owner:
            STORE.dropped.append((series, owner))


def is_shared(collector: Collector) -> bool:
    """Tell whether ``collector`` is a metric whose values are on the store."""
    return _is_metric(collector) and type(collector).collect is MetricWrapperBase.collect


def _is_metric(collector: Collector | None) -> bool:
    # isinstance() takes ten times as long: its class is a protocol.
    return not _KINDS.isdisjoint(type(collector).__mro__)


def renew_lock(collector: Collector) -> None:
    """Make the locks of a metric anew, and those of its label sets that have one."""
    if isinstance(collector, MetricWrapperBase):
        children = getattr(collector, "_metrics", {}).values()
        for metric in (collector, *children):
            if hasattr(metric, "_lock"):
                metric._lock = threading.Lock()


def values_of(metric: Any) -> list[Any]:
    """Return the values of a metric that has no label sets, as its record has them."""
    if isinstance(metric, Histogram):
        return [metric._sum, *metric._buckets]
    return [metric._count, metric._sum] if isinstance(metric, Summary) else [metric._value]


def declaration_of(metric: Any) -> Declaration:
    """Return what tells the family of ``metric`` from all others."""
    mode = getattr(metric, "_multiprocess_mode", "")
    return Declaration(
        type=metric._type,
        name=metric._name,
        help=str(metric._documentation),
        unit=str(metric._unit),
        labels=tuple(metric._labelnames),
        bounds=tuple(getattr(metric, "_upper_bounds", ())),
        # What nobody asked for and what asked for the default look the same.
        mode="" if mode == _DEFAULT_GAUGE_MODE else mode,
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


def _adopt_all(collector: Collector) -> None:
    # A metric of this package is on the store from the first, and has a cell where
    # prometheus_client's classes have values.
    if is_guarded(collector):
        return
    for metric in _metrics(collector):
        if not isinstance(values_of(metric)[0], Cell):
            _adopt(metric)


def _adopt(metric: Any) -> None:
    before = values_of(metric)
    created = getattr(metric, "_created", None)
    metric._metric_init()
    if created is not None:
        metric._created = created
    for value, old in zip(values_of(metric), before, strict=True):
        amount = old.get()
        if amount:
            (value.set if metric._type == GAUGE else value.inc)(amount)
        if old.get_exemplar() is not None:
            value.set_exemplar(old.get_exemplar())
