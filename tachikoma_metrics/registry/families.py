"""prometheus_client's metric classes with the guard on label values built in.

``METRICS.http_requests_total.labels(...)`` of a user and our own recorders go
through the same guard, so that no door leads past ``MAX_SERIES``.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import prometheus_client
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

from tachikoma_metrics import labels
from tachikoma_metrics.definitions import Counter, Family, Gauge, Histogram
from tachikoma_metrics.registry.cells import Cell


class Guard:
    """Hold the rules for a family's label sets.

    ``is_own_health`` tells whether the family is about tachikoma_metrics itself,
    ``is_shadowed`` whether it has to leave the page to another;
    ``when_full`` is called for each label set that found no place, ``when_removed``
    after label sets were removed.
    """

    def __init__(
        self,
        limit: float,
        is_own_health: bool,
        is_shadowed: Callable[[], bool],
        when_full: Callable[[], None],
        when_removed: Callable[[], None],
    ) -> None:
        self.limit = limit
        self.is_own_health = is_own_health
        self.is_shadowed = is_shadowed
        self.when_full = when_full
        self.when_removed = when_removed
        # Re-entrant, for a finaliser or a signal handler may record anywhere.
        self.lock = threading.RLock()


class GuardedMetric(MetricWrapperBase):
    """Keep the label sets of a prometheus_client metric few and printable.

    The children of a metric are of its class too; they have no guard, for they have
    no label sets.
    """

    guard: Guard | None = None

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
        found = self._metrics.get(values) or self._admit(values)
        if found is not None:
            return found, True
        overflow = labels.overflow(len(values))
        found = self._metrics.get(overflow) or self._admit(overflow)
        if self.guard is not None:
            self.guard.when_full()
        return found, False

    def _admit(self, values: tuple[str, ...]) -> Any:
        """Return the new child for ``values``, or None if there is no room for it."""
        guard = self.guard
        if guard is None or not labels.fits(values, self._metrics.keys(), guard.limit):
            return None
        # Made outside the lock: making it may run a finaliser that records.
        made: Any = type(self)(
            self._name,
            self._documentation,
            self._labelnames,
            registry=None,
            _labelvalues=values,
            **self._kwargs,
        )
        with guard.lock:
            if labels.fits(values, self._metrics.keys(), guard.limit):
                return self._metrics.setdefault(values, made)
        return None

    @property
    def series(self) -> int:
        """Return the number of label sets."""
        return len(self._metrics) if self._labelnames else 1

    def remove(self, *labelvalues: Any) -> None:
        """Remove a label set."""
        super().remove(*map(labels.clean, labelvalues))
        self._tell_of_removal()

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Remove the label sets that have all of ``labels``."""
        super().remove_by_labels(labels)
        self._tell_of_removal()

    def clear(self) -> None:
        """Remove all label sets."""
        self.reset_series()
        self._tell_of_removal()

    def reset_series(self) -> None:
        """Start anew: without a label set, or from zero."""
        if self._labelnames:
            self._metrics = {}
        else:
            self._metric_init()  # type: ignore[no-untyped-call]  # Its base has no types.

    def _tell_of_removal(self) -> None:
        if self.guard is not None:
            self.guard.when_removed()


class GuardedCounter(GuardedMetric, prometheus_client.Counter):
    """A counter behind the guard."""

    def _metric_init(self) -> None:
        self._value = Cell()
        self._created = time.time()


class GuardedHistogram(GuardedMetric, prometheus_client.Histogram):
    """A histogram behind the guard."""

    def _metric_init(self) -> None:
        self._sum = Cell()
        self._buckets = [Cell() for _ in self._upper_bounds]
        self._created = time.time()


class GuardedGauge(GuardedMetric, prometheus_client.Gauge):
    """A gauge behind the guard."""

    def _metric_init(self) -> None:
        self._value = Cell()


class LatestGauge(GuardedGauge):
    """A gauge that has no sample before its first value."""

    def _metric_init(self) -> None:
        super()._metric_init()
        self._has_value = False

    def set(self, value: float) -> None:
        """Set the gauge to ``value``."""
        super().set(value)
        self._has_value = True

    def inc(self, amount: float = 1) -> None:
        """Add ``amount``."""
        super().inc(amount)
        self._has_value = True

    def dec(self, amount: float = 1) -> None:
        """Subtract ``amount``."""
        super().dec(amount)
        self._has_value = True

    def _child_samples(self) -> Iterable[Sample]:
        return super()._child_samples() if self._has_value else ()


def make(
    family: Family, name: str, label_names: tuple[str, ...], buckets: tuple[float, ...]
) -> GuardedMetric:
    """Return the metric that holds the values of ``family``, registered nowhere yet."""
    if isinstance(family, Histogram):
        return GuardedHistogram(name, family.help, label_names, registry=None, buckets=buckets)
    kinds: dict[type[Family], type[GuardedMetric]] = {
        Counter: GuardedCounter,
        Gauge: LatestGauge if getattr(family, "latest_wins", False) else GuardedGauge,
    }
    return kinds[type(family)](name, family.help, label_names, registry=None)
