"""What the store holds at the time of one scrape, as the metrics of collectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Sample

from tachikoma_metrics.exposition import CREATED, MergedMetric
from tachikoma_metrics.registry import runtime
from tachikoma_metrics.registry.collector_timeouts import CollectorTimeouts
from tachikoma_metrics.registry.derived import Derived
from tachikoma_metrics.registry.guarded_metrics import GuardedMetric, is_guarded
from tachikoma_metrics.registry.projections import Projection, as_metric
from tachikoma_metrics.registry.values import declaration_of, is_shared
from tachikoma_metrics.store import STORE, Declaration, Family, Lines, Reading
from tachikoma_metrics.store.layout import GAUGE

Merge = Callable[[], tuple[Sequence[Reading], Iterable[Family]]]
"""Reads the values of all processes; returns them as they are, and merged."""


class Snapshot:
    """Hold the values of all processes at one time, for the collectors of one scrape.

    They are read when the first of them is needed. ``error_count`` returns the number of
    instrumentation errors so far; ``names`` are those of the metrics and samples that are
    exposed, empty for all; ``timeouts`` are those of custom collectors.
    """

    def __init__(
        self,
        merge: Merge,
        error_count: Callable[[], int],
        names: frozenset[str],
        timeouts: CollectorTimeouts,
    ) -> None:
        self._collector_timeouts = timeouts
        self._merge = merge
        self._error_count = error_count
        self._names = names
        self._readings: Sequence[Reading] | None = None
        self._families: dict[tuple[bool, str], list[Family]] = {}
        self._exposed: set[tuple[bool, str]] = set()
        self._errors_at_reading = 0
        self._was_observed = False

    @staticmethod
    def has(collector: Collector) -> bool:
        """Return whether what ``collector`` collects is in the store."""
        return is_shared(collector) or collector in (PROCESS_COLLECTOR, GC_COLLECTOR)

    def renew(self) -> bool:
        """Read the values if they were not read, or an error was counted since; tell if so."""
        is_old = self._readings is None or self._error_count() != self._errors_at_reading
        if is_old:
            self._errors_at_reading = self._error_count()
            self._readings, families = self._merge()
            self._families = {}
            for family in families:
                declaration = family.declaration
                key = (declaration.is_builtin, declaration.name)
                self._families.setdefault(key, []).append(family)
        return is_old

    def needs_observation(self) -> bool:
        """Renew the values; tell whether they have changed since this was called last."""
        has_changed = self.renew() or not self._was_observed
        self._was_observed = True
        return has_changed

    @property
    def live_processes(self) -> int:
        """Return the number of live processes."""
        return len({reading.number for reading in self.readings if reading.is_held})

    @property
    def readings(self) -> Sequence[Reading]:
        """Return the values of each process."""
        self._read_once()
        return self._readings or ()

    @property
    def _found(self) -> Mapping[tuple[bool, str], list[Family]]:
        self._read_once()
        return self._families

    def _read_once(self) -> None:
        if self._readings is None:
            self.renew()

    @property
    def is_multiprocess(self) -> bool:
        """Return whether values are shared with other processes, not in this one's memory alone."""
        return any(reading.header.pid for reading in self.readings)

    def label_sets(self, declaration: Declaration) -> int:
        """Return the number of label sets of a metric of the catalogue."""
        found = self._found.get((True, declaration.name), [])
        return len({labels for family in found for labels in family.label_sets})

    def collect(self, collector: Collector) -> Iterable[Metric]:
        """Return what ``collector`` collects; over all processes if it is in the store."""
        if is_guarded(collector):
            return self._catalogued(cast(GuardedMetric, collector))
        if is_shared(collector):
            return [self._merged(collector, declaration_of(collector))]
        if not self.has(collector) or not self.is_multiprocess:
            return self._collector_timeouts.collect(collector)
        if collector is PROCESS_COLLECTOR:
            return runtime.process_families(self.readings)
        return [
            MergedMetric(declaration, self._take(declaration))
            for declaration in runtime.GC_FAMILIES.values()
        ]

    def rest(self) -> Iterable[Metric]:
        """Yield the metrics of other processes that no collector of this process has.

        A metric of a module that only Celery imports is one. The metrics of the catalogue are
        not: every process has those that are exposed. Neither are those that this process has
        made and not registered.
        """
        for key, families in list(self._found.items()):
            declaration = families[0].declaration
            if (
                key not in self._exposed
                and not declaration.is_builtin
                and not STORE.owns(declaration)
            ):
                yield MergedMetric(declaration, self._take(declaration))

    def _catalogued(self, metric: GuardedMetric) -> Iterable[Metric]:
        if metric.is_per_scrape or (metric.guard is not None and metric.guard.is_shadowed()):
            return metric.collect()
        found = self._from_function(metric)
        if not found and not self.is_exposed(metric):
            return []
        if metric.projection is not None:
            return [self._projected(metric, metric.projection)]
        return [self._merged(metric, metric.declaration, found)]

    def _projected(self, metric: GuardedMetric, projection: Projection) -> Metric:
        """Return a metric without the labels and buckets that only views need."""
        stored = self._take(metric.declaration)
        families = list(map(projection.of, stored))
        known = {labels for one in families for labels in (*one.label_sets, *one.moved)}
        unshared = (
            projection.label_set(metric._labelnames, labels)
            for labels, _ in _unshared(metric, stored)
        )
        missing = sorted({labels for labels in unshared if labels is not None} - known)
        return as_metric(projection.declaration, families, missing)

    def derived(self, derived: Derived) -> Sequence[Metric]:
        """Return a metric of a view; nothing if its sources are not in use, and have no values."""
        families = [
            derived.projection.of(family)
            for source in derived.sources
            for family in (*self._take(source.declaration), *_from_function(source))
            if derived.projection.accepts(family)
        ]
        is_constant = not derived.metric.sources
        if not (families or is_constant or any(map(self.is_exposed, derived.sources))):
            return []
        self._exposed.add((False, derived.declaration.name))
        return [as_metric(derived.declaration, families)]

    def of_project(self, declaration: Declaration) -> Sequence[Metric]:
        """Return the metric of this name that is not of the catalogue, if any process has it."""
        found = self._found.get((False, declaration.name), [])
        alike = [family for family in found if family.declaration.type == declaration.type]
        return [MergedMetric(alike[0].declaration, alike)] if alike else []

    def is_exposed(self, metric: GuardedMetric) -> bool:
        """Return whether a metric of the catalogue is in use, or any process has values of it."""
        if metric.guard is None or metric.guard.is_in_use():
            return True
        has_children = bool(metric._labelnames and metric._metrics)
        has_values = self.label_sets(metric.declaration) > 0
        return has_values or has_children or bool(_label_sets_of_functions(metric))

    def _from_function(self, metric: GuardedMetric) -> list[Family]:
        """Return what the metric's function returns, unless the metric is not exposed."""
        is_wanted = not self._names or metric.declaration.name in self._names
        return _from_function(metric) if is_wanted else []

    def _take(self, declaration: Declaration) -> list[Family]:
        key = (declaration.is_builtin, declaration.name)
        self._exposed.add(key)
        found = self._found.get(key, [])
        if self.is_multiprocess:
            return [family for family in found if family.declaration.type == declaration.type]
        # In one process alone, others are the same metric from before a change of settings.
        return [family for family in found if family.declaration == declaration]

    def _merged(
        self, metric: Any, declaration: Declaration, found: Sequence[Family] = ()
    ) -> Metric:
        families = self._take(declaration)
        functions = _label_sets_of_functions(metric)
        if functions:
            # Only this process can call them; they replace what was set before.
            families = [family.without(functions) for family in families]
        families = [*families, *found]
        extra = [
            _named(metric, sample)
            for labels, samples in _unshared(metric, families)
            # Label sets that did not fit into the file of this process have values here alone.
            if labels in functions or not (self.is_multiprocess and _has_values(samples))
            for sample in samples
            # Each process would have another start, and the store has none for it yet.
            if sample.name != CREATED
        ]
        return MergedMetric(declaration, families, extra)


def _from_function(metric: GuardedMetric) -> list[Family]:
    """Return the values that the metric's function returns, as one more family."""
    if metric.function is None:
        return []
    declaration = metric.declaration
    found = metric.function(declaration.labels)
    lines = Lines(declaration.labels, list(found), [("", None)])
    return [Family(declaration, list(found), lines, list(found.values()))] if found else []


def _label_sets_of_functions(metric: Any) -> set[tuple[str, ...]]:
    if metric._type != GAUGE:
        return set()
    children = metric._metrics.copy() if metric._labelnames else {(): metric}
    return {values for values, child in children.items() if "_child_samples" in vars(child)}


def _unshared(
    metric: Any, families: Sequence[Family]
) -> Iterable[tuple[tuple[str, ...], list[Sample]]]:
    """Yield the label sets that are not in the store, with their samples, most of them zero."""
    if not metric._labelnames:
        if not any(family.label_sets for family in families):
            yield (), list(metric._samples())
        return
    children = metric._metrics.copy()
    known = _label_sets(families, metric._labelnames)
    room = 0 if any(family.moved for family in families) else _limit(metric) - len(known)
    for number, values in enumerate(sorted(children.keys() - known)):
        if number >= room:
            return
        own = dict(zip(metric._labelnames, values, strict=True))
        samples = children[values]._samples()
        yield values, [one._replace(labels={**own, **one.labels}) for one in samples]


def _has_values(samples: Iterable[Sample]) -> bool:
    return any(sample.value for sample in samples if sample.name != CREATED)


def _limit(metric: Any) -> float:
    return cast(GuardedMetric, metric).limit if is_guarded(metric) else math.inf


def _label_sets(families: Sequence[Family], names: Iterable[str]) -> set[tuple[str, ...]]:
    alike = [family for family in families if family.declaration.labels == tuple(names)]
    return {labels for family in alike for labels in (*family.label_sets, *family.moved)}


def _named(metric: Any, sample: Sample) -> Sample:
    return sample._replace(name=metric._name + sample.name)
