"""prometheus_client's metric classes with the guard on label values built in.

``METRICS.http_requests_total.labels(...)`` of a user and our own recorders go
through the same guard, so that no door leads past ``CARDINALITY_LIMIT``.
"""

from __future__ import annotations

import math
import threading
import time
from bisect import bisect_left
from collections.abc import Callable, Collection, Iterable, Mapping
from itertools import accumulate
from typing import Any

import prometheus_client
from prometheus_client import Metric
from prometheus_client import metrics as client_metrics
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Exemplar, Sample

from tachikoma_metrics.catalogue import labels
from tachikoma_metrics.catalogue.definitions import Counter, Family, Gauge, Histogram
from tachikoma_metrics.exposition import number
from tachikoma_metrics.store import (
    LIVESUM_OF_SET,
    STORE,
    Cell,
    Declaration,
    GaugeCell,
    Series,
)

ScrapeFunction = Callable[[tuple[str, ...]], Mapping[tuple[str, ...], float]]
"""Given the names of a gauge's labels, returns what is known elsewhere, by their values."""


class Guard:
    """Hold the rules for a family's label sets.

    ``is_own_health`` tells whether the family is about tachikoma_metrics itself,
    ``is_shadowed`` whether it has to leave the page to another, ``is_in_use`` whether it is
    on the page even if nothing was recorded;
    ``on_full`` is called for each label set that found no place, ``on_removed``
    after label sets were removed.
    """

    def __init__(
        self,
        limit: float,
        is_own_health: bool,
        is_shadowed: Callable[[], bool],
        is_in_use: Callable[[], bool],
        on_full: Callable[[], None],
        on_removed: Callable[[], None],
    ) -> None:
        self.limit = limit
        self.is_own_health = is_own_health
        self.is_shadowed = is_shadowed
        self.is_in_use = is_in_use
        self.on_full = on_full
        self.on_removed = on_removed
        # Re-entrant, for a finaliser or a signal handler may record anywhere.
        self.lock = threading.RLock()


class GuardedMetric(MetricWrapperBase):
    """Keep the label sets of a prometheus_client metric few and printable.

    The children of a metric are of its class too; they have no guard, for they have
    no label sets. What ``is_about_the_page`` is shared with no other process.
    """

    guard: Guard | None = None
    function: ScrapeFunction | None = None
    cell: Cell

    def __init__(
        self,
        declaration: Declaration,
        is_about_the_page: bool = False,
        parent: GuardedMetric | None = None,
        values: tuple[str, ...] = (),
        closed_labels: Collection[str] = (),
        **details: Any,
    ) -> None:
        self.declaration = declaration
        self.is_about_the_page = is_about_the_page
        self._parent = parent or self
        self._is_closed = [name in closed_labels for name in declaration.labels]
        self._details = details
        super().__init__(
            declaration.name,
            declaration.help,
            declaration.labels,
            registry=None,
            _labelvalues=values,
            **details,
        )

    def is_full(self) -> None:
        """Be told that a label set found no room."""
        if self.guard is not None:
            self.guard.on_full()

    @property
    def limit(self) -> float:
        """Return the number of label sets a process may have."""
        return math.inf if self.guard is None else self.guard.limit

    def _series(self) -> Series | None:
        if self.is_about_the_page:
            return None
        return Series(self.declaration, self._labelvalues)

    def describe(self) -> Iterable[Metric]:
        """Reserve no names.

        A project's own metric of the same name can then be made after ours without
        an error in the project; ours leaves the page to it (see ``collect``).
        """
        return []

    def collect(self) -> Iterable[Metric]:
        """Return the family, or nothing if another collector has one of its names."""
        if self.guard is not None and self.guard.is_shadowed():
            return []
        return super().collect()

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Any:
        """Return the child for a label set, or the overflow child if there is no room.

        Raises ``ValueError`` for wrong names or a wrong number of labels, as
        prometheus_client does.
        """
        if labelkwargs and not labelvalues and set(labelkwargs) == set(self._labelnames):
            labelvalues = tuple(labelkwargs[name] for name in self._labelnames)
            labelkwargs = {}
        is_wrong = labelkwargs or len(labelvalues) != len(self._labelnames)
        if self.guard is None or is_wrong or not self._labelnames:
            return super().labels(*labelvalues, **labelkwargs)
        return self.child(tuple(map(labels.clean, labelvalues)))[0]

    def child(self, values: tuple[str, ...]) -> tuple[Any, bool]:
        """Return the child for clean label values, and whether it is their own.

        It is not if the family is full: then it is the overflow child, and the guard
        is told.
        """
        found = self._metrics.get(values) or self._admit(values, self.limit)
        if found is not None:
            return found, True
        for overflow in (self.overflowed(values), labels.overflow(len(values))):
            limit = self.limit + labels.MOST_OVERFLOWED
            found = self._metrics.get(overflow) or self._admit(overflow, limit)
            if found is not None:
                break
        if self.guard is not None and overflow != values:
            self.guard.on_full()
        return found, overflow == values

    def overflowed(self, values: tuple[str, ...]) -> tuple[str, ...]:
        """Return the label set that stands for ``values`` where there is no room for them."""
        return labels.overflowed(values, self._is_closed)

    def _admit(self, values: tuple[str, ...], limit: float) -> Any:
        """Return the new child for ``values``, or None if there is no room for it."""
        guard = self.guard
        if guard is None or not labels.fits(values, self._metrics.keys(), limit):
            return None
        # Made outside the lock: making it may run a finaliser that records.
        made: Any = type(self)(
            self.declaration, self.is_about_the_page, self, values, **self._details
        )
        with guard.lock:
            if labels.fits(values, self._metrics.keys(), limit):
                return self._metrics.setdefault(values, made)
        return None

    @property
    def series(self) -> int:
        """Return the number of label sets."""
        return len(self._metrics) if self._labelnames else 1

    def remove(self, *labelvalues: Any) -> None:
        """Remove a label set: what this process has of it, and processes that are over.

        Raises ``ValueError`` for a wrong number of labels, as prometheus_client does.
        """
        if not self._labelnames or len(labelvalues) != len(self._labelnames):
            super().remove(*labelvalues)
        child = self._metrics.pop(tuple(map(labels.clean, labelvalues)), None)
        self._let_go([] if child is None else [child])

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Remove the label sets that have all of ``labels``."""
        before = self._metrics.copy() if self._labelnames else {}
        super().remove_by_labels(labels)
        self._let_go([before[values] for values in before.keys() - self._metrics.keys()])

    def clear(self) -> None:
        """Remove all label sets."""
        if self._labelnames:
            self.reset_series()

    def reset_series(self) -> None:
        """Start anew: without a label set, or from zero."""
        if self._labelnames:
            children = list(self._metrics.values())
            self._metrics = {}
            self._let_go(children)
        else:
            self.cell.remove()

    def _let_go(self, children: list[Any]) -> None:
        if children:
            STORE.remove(*(Series(self.declaration, child._labelvalues) for child in children))
        for child in children:
            # Whoever still has it counts for himself alone.
            child.cell.series = None
        if self.guard is not None:
            self.guard.on_removed()


def is_guarded(collector: object) -> bool:
    """Tell whether ``collector`` is a family of ours."""
    # isinstance() takes ten times as long: the class of collectors is a protocol.
    return GuardedMetric in type(collector).__mro__


class _GuardedCell(Cell):
    """The values of a metric's label set, behind its guard."""

    __slots__ = ("metric",)

    def __init__(self, series: Series | None, metric: GuardedMetric) -> None:
        super().__init__(series, width=metric.declaration.width)
        self.metric = metric
        self.bounds = metric.declaration.bounds or None

    @property
    def limit(self) -> float:
        """Return the number of label sets the family may have in a slot."""
        return self.metric.limit

    def overflowed(self, series: Series) -> Series:
        """Return the label set to count under where there is no room for this one."""
        return series._replace(labels=self.metric.overflowed(series.labels))

    def on_full(self) -> None:
        """Tell the guard that the label set found no room."""
        self.metric.is_full()


class _GuardedGaugeCell(_GuardedCell, GaugeCell):
    """The value of a gauge that is told when it got it."""

    __slots__ = ()


class GuardedCounter(GuardedMetric, prometheus_client.Counter):
    """A counter behind the guard."""

    def _metric_init(self) -> None:
        self._value = self.cell = _GuardedCell(self._series(), self._parent)
        self._created = time.time()


class GuardedHistogram(GuardedMetric, prometheus_client.Histogram):
    """A histogram behind the guard."""

    def _metric_init(self) -> None:
        self.cell = _GuardedCell(self._series(), self._parent)
        self._exemplars: dict[int, Exemplar] = {}
        self._created = time.time()

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None:
        """Observe ``amount``; ``exemplar`` are labels of an example of it.

        Raises ``ValueError`` for an exemplar that no format allows.
        """
        self._raise_if_not_observable()  # type: ignore[no-untyped-call]  # Its base has no types.
        self.cell.observe(amount)
        if exemplar:
            client_metrics._validate_exemplar(exemplar)  # type: ignore[attr-defined,no-untyped-call]
            place = bisect_left(self.declaration.bounds, amount)
            self._exemplars[place] = Exemplar(exemplar, amount, time.time())
            self.cell.set_exemplar(self._exemplars[place])

    def _child_samples(self) -> Iterable[Sample]:
        total, *counts = self.cell.values()
        for place, count in enumerate(accumulate(counts)):
            bound = number(self.declaration.bounds[place])
            yield Sample("_bucket", {"le": bound}, count, None, self._exemplars.get(place))
        yield Sample("_count", {}, sum(counts), None, None)
        yield Sample("_sum", {}, total, None, None)


class GuardedGauge(GuardedMetric, prometheus_client.Gauge):
    """A gauge behind the guard: the sum over the processes that live."""

    def _metric_init(self) -> None:
        self._value = self.cell = _GuardedCell(self._series(), self._parent)


class UnsetGauge(GuardedMetric, prometheus_client.Gauge):
    """A gauge behind the guard that has no sample before it was set."""

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
) -> GuardedMetric:
    """Return the metric that holds the values of ``family``, registered nowhere yet.

    ``lost`` is the name of the counter of what a gauge has in progress when its process dies.
    """
    declaration = Declaration(
        type=family.type,
        name=name.removesuffix("_total") if isinstance(family, Counter) else name,
        help=family.help,
        labels=label_names,
        bounds=(*map(float, buckets), math.inf) if buckets else (),
        mode=_mode(family) if isinstance(family, Gauge) else "",
        is_ours=True,
        lost=lost.removesuffix("_total"),
    )
    closed = family.closed_label_names
    if isinstance(family, Histogram):
        return GuardedHistogram(declaration, closed_labels=closed, buckets=declaration.bounds)
    kinds: dict[type[Family], type[GuardedMetric]] = {
        Counter: GuardedCounter,
        Gauge: GuardedGauge if declaration.mode == "livesum" else UnsetGauge,
    }
    is_about_the_page = getattr(family, "is_about_the_page", False)
    return kinds[type(family)](declaration, is_about_the_page, closed_labels=closed)


def _mode(gauge: Gauge) -> str:
    if gauge.latest_wins:
        return "mostrecent"
    return LIVESUM_OF_SET if gauge.starts_unset else "livesum"
