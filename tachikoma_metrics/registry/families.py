"""prometheus_client's metric classes with the guard on label values built in.

``METRICS.http_requests_total.labels(...)`` of a user and our own recorders go
through the same guard, so that no door leads past ``MAX_SERIES``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

import prometheus_client
from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.samples import Sample

from tachikoma_metrics import labels
from tachikoma_metrics.definitions import Counter, Family, Gauge, Histogram


class Guard:
    """Hold what a family's label sets have to comply with.

    ``when_full`` is called for each label set that found no place, ``when_removed``
    after label sets were removed.
    """

    def __init__(
        self,
        limit: float,
        is_shadowed: Callable[[], bool],
        when_full: Callable[[], None],
        when_removed: Callable[[], None],
    ) -> None:
        self.limit = limit
        self.is_shadowed = is_shadowed
        self.when_full = when_full
        self.when_removed = when_removed
        self.lock = threading.Lock()


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
        elif labelkwargs or len(labelvalues) != len(self._labelnames):
            return super().labels(*labelvalues, **labelkwargs)
        return self.child(tuple(map(labels.clean, labelvalues)))[0]

    def child(self, values: tuple[str, ...]) -> tuple[Any, bool]:
        """Return the child for clean label values, and whether it is their own.

        It is not if the family is full: then it is the overflow child, and the guard
        is told.
        """
        if self.guard is None:
            return super().labels(*values), True
        with self.guard.lock:
            if labels.fits(values, self._metrics.keys(), self.guard.limit):
                return super().labels(*values), True
            overflow = super().labels(*labels.overflow(len(values)))
        self.guard.when_full()
        return overflow, False

    @property
    def series(self) -> int:
        """Return the number of label sets."""
        return len(self._metrics) if self._labelnames else 1

    def remove(self, *labelvalues: Any) -> None:
        """Remove a label set."""
        super().remove(*labelvalues)
        self._tell_of_removal()

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Remove the label sets that have all of ``labels``."""
        super().remove_by_labels(labels)
        self._tell_of_removal()

    def clear(self) -> None:
        """Remove all label sets."""
        super().clear()
        self._tell_of_removal()

    def _tell_of_removal(self) -> None:
        if self.guard is not None:
            self.guard.when_removed()


class GuardedCounter(GuardedMetric, prometheus_client.Counter):
    """A counter behind the guard."""


class GuardedHistogram(GuardedMetric, prometheus_client.Histogram):
    """A histogram behind the guard."""


class GuardedGauge(GuardedMetric, prometheus_client.Gauge):
    """A gauge behind the guard."""


class LatestGauge(GuardedGauge):
    """A gauge that is set, not counted, and has no sample before that."""

    _has_been_set = False

    def set(self, value: float) -> None:
        """Set the gauge; its sample appears with the first value."""
        super().set(value)
        self._has_been_set = True

    def _child_samples(self) -> Iterable[Sample]:
        return super()._child_samples() if self._has_been_set else ()


def make(
    family: Family, name: str, label_names: tuple[str, ...], buckets: tuple[float, ...]
) -> GuardedMetric:
    """Return the metric that holds the values of ``family``, registered nowhere yet."""
    match family:
        case Counter():
            return GuardedCounter(name, family.help, label_names, registry=None)
        case Histogram():
            return GuardedHistogram(name, family.help, label_names, registry=None, buckets=buckets)
        case Gauge(latest_wins=True):
            return LatestGauge(
                name,
                family.help,
                label_names,
                registry=None,
                multiprocess_mode="mostrecent",
            )
        case Gauge():
            return GuardedGauge(
                name, family.help, label_names, registry=None, multiprocess_mode="livesum"
            )
    raise TypeError(f"{family!r} should be a Counter, a Gauge or a Histogram.")
