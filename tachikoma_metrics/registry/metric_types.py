"""The types of metrics that the catalogue declares: counters, gauges and histograms."""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections.abc import Iterable
from itertools import accumulate

import prometheus_client
from prometheus_client import metrics as client_metrics
from prometheus_client.samples import Exemplar, Sample

from tachikoma_metrics.catalogue.definitions import Counter, Family, Gauge, Histogram
from tachikoma_metrics.exposition import number
from tachikoma_metrics.registry.guarded_metrics import GuardedMetric
from tachikoma_metrics.store import (
    LIVESUM_OF_SET,
    Cell,
    Declaration,
    GaugeCell,
    Native,
    NativeCell,
    Series,
)
from tachikoma_metrics.store import Exemplar as StoredExemplar
from tachikoma_metrics.store.native_cells import SLOTS


class _GuardedCell(Cell):
    """The values of one label set, limited by the guard of its metric."""

    __slots__ = ("metric",)

    def __init__(self, series: Series | None, metric: GuardedMetric) -> None:
        super().__init__(series, width=metric.declaration.width)
        self.metric = metric
        self.bounds = metric.declaration.bounds or None

    @property
    def limit(self) -> float:
        """Return the number of label sets the metric may have in a process."""
        return self.metric.limit

    def overflowed(self, series: Series) -> Series:
        """Return the label set to count under if the metric is full."""
        return series._replace(labels=self.metric.overflowed(series.labels))

    def on_full(self) -> None:
        """Count that the label set was turned into ``overflow``."""
        self.metric.on_full()


class _GuardedGaugeCell(_GuardedCell, GaugeCell):
    """The value of a gauge, with the time at which it was set."""

    __slots__ = ()


class _GuardedNativeCell(_GuardedCell, NativeCell):
    """The values of a histogram that has native buckets."""

    __slots__ = SLOTS

    def __init__(self, series: Series | None, metric: GuardedMetric, native: Native) -> None:
        super().__init__(series, metric)
        self._count_natively(native)


class GuardedCounter(GuardedMetric, prometheus_client.Counter):
    """A counter whose label sets are limited."""

    def _metric_init(self) -> None:
        self._value = self.cell = _GuardedCell(self._series(), self._parent)
        self._created = time.time()


class GuardedHistogram(GuardedMetric, prometheus_client.Histogram):
    """A histogram whose label sets are limited."""

    def _metric_init(self) -> None:
        native = self.declaration.native
        details = self._series(), self._parent
        self.cell = _GuardedNativeCell(*details, native) if native else _GuardedCell(*details)
        self._exemplars: dict[int, Exemplar] = {}
        self._created = time.time()

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Observe ``amount``, with the labels of an exemplar.

        Raises ``ValueError`` for an exemplar that no format allows.
        """
        self._raise_if_not_observable()  # type: ignore[no-untyped-call]  # Its base has no types.
        self.cell.observe(amount)
        if exemplar:
            client_metrics._validate_exemplar(exemplar)  # type: ignore[attr-defined,no-untyped-call]
            place = bisect_left(self.declaration.bounds, amount)
            self._exemplars[place] = Exemplar(exemplar, amount, time.time())
            self.cell.exemplify(StoredExemplar(exemplar, amount, time.time()))

    def _child_samples(self) -> Iterable[Sample]:
        total, *counts = self.cell.values()
        for place, count in enumerate(accumulate(counts)):
            bound = number(self.declaration.bounds[place])
            yield Sample("_bucket", {"le": bound}, count, None, self._exemplars.get(place))
        yield Sample("_count", {}, sum(counts), None, None)
        yield Sample("_sum", {}, total, None, None)


class GuardedGauge(GuardedMetric, prometheus_client.Gauge):
    """A gauge whose label sets are limited: the sum over the live processes."""

    def _metric_init(self) -> None:
        self._value = self.cell = _GuardedCell(self._series(), self._parent)


class GuardedUnsetGauge(GuardedMetric, prometheus_client.Gauge):
    """A gauge that has no sample before it was set."""

    def _metric_init(self) -> None:
        self._value = self.cell = _GuardedGaugeCell(self._series(), self._parent)

    def _child_samples(self) -> Iterable[Sample]:
        return super()._child_samples() if self._value.is_set else ()


def make(
    family: Family,
    name: str,
    label_names: tuple[str, ...],
    buckets: tuple[float, ...],
    lost: str = "",
    native: Native | None = None,
) -> GuardedMetric:
    """Return the metric that holds the values of ``family``, which is in no registry yet.

    ``lost`` is the name of the counter to which a gauge's value is added when its process dies.
    """
    declaration = Declaration(
        type=family.type,
        name=name.removesuffix("_total") if isinstance(family, Counter) else name,
        help=family.help,
        labels=label_names,
        bounds=(*map(float, buckets), math.inf) if buckets else (),
        mode=_mode(family) if isinstance(family, Gauge) else "",
        is_builtin=True,
        lost=lost.removesuffix("_total"),
        native=native,
    )
    closed = family.closed_label_names
    if isinstance(family, Histogram):
        return GuardedHistogram(declaration, closed_labels=closed, buckets=declaration.bounds)
    kinds: dict[type[Family], type[GuardedMetric]] = {
        Counter: GuardedCounter,
        Gauge: GuardedGauge if declaration.mode == "livesum" else GuardedUnsetGauge,
    }
    is_per_scrape = getattr(family, "is_per_scrape", False)
    return kinds[type(family)](declaration, is_per_scrape, closed_labels=closed)


def _mode(gauge: Gauge) -> str:
    if gauge.latest_wins:
        return "mostrecent"
    return LIVESUM_OF_SET if gauge.starts_unset else "livesum"
