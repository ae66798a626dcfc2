"""prometheus_client's metrics, with a limit on the number of their label sets.

A project calls ``METRICS.http_requests_total.labels(...)``, and the package's recorders call
``child``. Both apply ``CARDINALITY_LIMIT`` in ``_admit``.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

from prometheus_client import Metric
from prometheus_client.metrics import MetricWrapperBase

from tachikoma_metrics.catalogue import labels
from tachikoma_metrics.registry.projections import Projection
from tachikoma_metrics.store import STORE, Cell, Declaration, Series

ScrapeFunction = Callable[[tuple[str, ...]], Mapping[tuple[str, ...], float]]
"""Takes the names of a gauge's labels; returns values that are in no store, by label values."""


_CHANGES = ("inc", "observe")
"""The methods that change a counter or a histogram."""


class Guard:
    """Hold the rules for the label sets of a metric.

    ``limit`` is the number of label sets it may have, ``is_own_health`` tells whether it is
    about tachikoma_metrics itself, ``is_shadowed`` whether another collector has its name, and
    ``is_in_use`` whether it is exposed even if nothing was recorded. ``on_full`` is called for
    each update that was turned into ``overflow``, ``on_removed`` after label sets were removed.
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
        # Re-entrant, because a finaliser or a signal handler may record anywhere.
        self.lock = threading.RLock()


class GuardedMetric(MetricWrapperBase):
    """Limit the label sets of a prometheus_client metric, and make their values encodable.

    The children of a metric are of its class, too; they have no guard, because they have no
    label sets. A metric that ``is_per_scrape`` is shared with no other process.
    """

    guard: Guard | None = None
    function: ScrapeFunction | None = None
    projection: Projection | None = None
    """How the metric is exposed if it has labels or buckets that only views need."""
    cell: Cell

    def __init__(
        self,
        declaration: Declaration,
        is_per_scrape: bool = False,
        parent: GuardedMetric | None = None,
        values: tuple[str, ...] = (),
        closed_labels: Collection[str] = (),
        **details: Any,
    ) -> None:
        self.declaration = declaration
        self.is_per_scrape = is_per_scrape
        self._parent = parent or self
        self._is_closed = [name in closed_labels for name in declaration.labels]
        self._details = details
        self._initialized: set[tuple[str, ...]] = set()
        super().__init__(
            declaration.name,
            declaration.help,
            declaration.labels,
            registry=None,
            _labelvalues=values,
            **details,
        )

    def on_full(self) -> None:
        """Count that a label set was turned into ``overflow``."""
        if self.guard is not None:
            self.guard.on_full()

    @property
    def limit(self) -> float:
        """Return the number of label sets a process may have."""
        return math.inf if self.guard is None else self.guard.limit

    def _series(self) -> Series | None:
        if self.is_per_scrape:
            return None
        return Series(self.declaration, self._labelvalues)

    def describe(self) -> Iterable[Metric]:
        """Reserve no names.

        A project can then make a metric of the same name later, without an error; that one
        is exposed in the place of this one (see ``collect``).
        """
        return []

    def collect(self) -> Iterable[Metric]:
        """Return the metric, or nothing if another collector has one of its names."""
        if self.guard is not None and self.guard.is_shadowed():
            return []
        return super().collect()

    def labels(self, *labelvalues: object, **labelkwargs: object) -> Any:
        """Return the child for a label set, or the overflow child if the metric is full.

        Raises ``ValueError`` for wrong names or a wrong number of labels, as
        prometheus_client does.
        """
        names = self.exposed_labels
        if labelkwargs and not labelvalues and set(labelkwargs) == set(names):
            labelvalues = tuple(labelkwargs[name] for name in names)
            labelkwargs = {}
        if len(labelvalues) == len(names):
            # The values of labels that only views need are unknown here.
            labelvalues += ("",) * (len(self._labelnames) - len(names))
        is_wrong = labelkwargs or len(labelvalues) != len(self._labelnames)
        if self.guard is None or is_wrong or not self._labelnames:
            return super().labels(*labelvalues, **labelkwargs)
        return self.child(tuple(map(labels.clean, labelvalues)))[0]

    @property
    def exposed_labels(self) -> tuple[str, ...]:
        """Return the names of the labels, without those that only views need."""
        return self._labelnames if self.projection is None else self.projection.declaration.labels

    def show_as(self, projection: Projection | None) -> None:
        """Expose the metric without labels or buckets that only views need."""
        self.projection = projection
        if self._labelnames and not self.exposed_labels:
            # To the project it is a metric without labels.
            for name in _CHANGES:
                if hasattr(self, name):
                    setattr(self, name, partial(self._change, name))

    def _change(self, name: str, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.labels(), name)(*args, **kwargs)

    def child(self, values: tuple[str, ...]) -> tuple[Any, bool]:
        """Return the child for clean label values, and whether it is theirs alone.

        It is not if the metric is full: then it is the overflow child, and the guard's
        ``on_full`` is called.
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
        """Return the label set that ``values`` are counted under if the metric is full."""
        return labels.overflowed(values, self._is_closed)

    def _admit(self, values: tuple[str, ...], limit: float) -> Any:
        """Return the new child for ``values``, or None if the metric is full."""
        guard = self.guard
        if guard is None or not labels.fits(values, self._metrics.keys(), limit):
            return None
        # Outside the lock: an allocation may run a finaliser that records.
        made: Any = type(self)(self.declaration, self.is_per_scrape, self, values, **self._details)
        with guard.lock:
            if labels.fits(values, self._metrics.keys(), limit):
                self._initialized.discard(values)
                return self._metrics.setdefault(values, made)
        return None

    def initialize(self, label_sets: Iterable[tuple[str, ...]]) -> None:
        """Expose label sets at zero, from now on, if the limit leaves room for them.

        Until one of them has a child, it is in the place of no other label set.
        """
        if self.guard is None:
            return
        with self.guard.lock:
            new = set(label_sets) - self._metrics.keys() - self._initialized
            if len(self._metrics) + len(self._initialized) + len(new) >= self.limit:
                return
            self._initialized |= new
        # Sorted, so that all processes make them in the same order.
        series = [Series(self.declaration, values) for values in sorted(new)]
        STORE.initialize(series, self.limit)

    @property
    def series(self) -> int:
        """Return the number of label sets that this process has."""
        return len(self._metrics) + len(self._initialized) if self._labelnames else 1

    def remove(self, *labelvalues: Any) -> None:
        """Remove a label set: the values of this process, and of processes that have exited.

        Raises ``ValueError`` for a wrong number of labels, as prometheus_client does.
        """
        names = self.exposed_labels
        if len(names) < len(self._labelnames) and len(labelvalues) == len(names):
            cleaned = map(labels.clean, labelvalues)
            self.remove_by_labels(dict(zip(names, cleaned, strict=True)))
            return
        if not self._labelnames or len(labelvalues) != len(self._labelnames):
            super().remove(*labelvalues)
        values = tuple(map(labels.clean, labelvalues))
        child = self._metrics.pop(values, None)
        self._detach([] if child is None else [child], self._initialized & {values})

    def remove_by_labels(self, labels: dict[str, str]) -> None:
        """Remove the label sets that have all of ``labels``."""
        before = self._metrics.copy() if self._labelnames else {}
        super().remove_by_labels(labels)
        removed = [before[values] for values in before.keys() - self._metrics.keys()]
        wanted = {name: str(value) for name, value in labels.items()}.items()
        named = {
            values: dict(zip(self._labelnames, values, strict=True)).items()
            for values in (self._initialized if wanted else ())
        }
        self._detach(removed, [values for values, items in named.items() if wanted <= items])

    def clear(self) -> None:
        """Remove all label sets."""
        if self._labelnames:
            self.reset_series()

    def reset_series(self) -> None:
        """Remove all label sets, or the value of a metric without labels."""
        if self._labelnames:
            children = list(self._metrics.values())
            self._metrics = {}
            self._detach(children, self._initialized)
        else:
            self.cell.remove()

    def _detach(self, children: list[Any], initialized: Collection[tuple[str, ...]]) -> None:
        self._initialized = self._initialized.difference(initialized)
        removed = [*(child._labelvalues for child in children), *initialized]
        if removed:
            STORE.remove(*(Series(self.declaration, values) for values in removed))
        for child in children:
            # A caller that has kept the child changes a value that is no longer shared.
            child.cell.series = None
        if self.guard is not None:
            self.guard.on_removed()


def is_guarded(collector: object) -> bool:
    """Return whether ``collector`` is a metric of the catalogue."""
    # isinstance() takes ten times as long: the class of collectors is a protocol.
    return GuardedMetric in type(collector).__mro__
