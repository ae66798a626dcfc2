"""One scrape's look at the store, in the shape of collectors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from prometheus_client import GC_COLLECTOR, PROCESS_COLLECTOR, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample

from tachikoma_metrics.exposition import MergedMetric
from tachikoma_metrics.registry import runtime
from tachikoma_metrics.registry.collector_timeouts import CollectorTimeouts
from tachikoma_metrics.registry.guarded_metrics import GuardedMetric, is_guarded
from tachikoma_metrics.registry.values import declaration_of, is_shared
from tachikoma_metrics.store import STORE, Cell, Declaration, Family, Lines, Reading
from tachikoma_metrics.store.layout import GAUGE

Look = Callable[[], tuple[Sequence[Reading], Iterable[Family]]]
"""Returns what is in the slots, and what was merged of it."""


class Snapshot:
    """Hold what the slots said at one moment, for the collectors of one page.

    That is the first moment at which anybody asks. ``faults`` returns how many there
    were so far; ``names`` are those of the families and samples that the page shows, empty
    for all; ``patience`` is for the collectors that are the project's own.
    """

    def __init__(
        self,
        look: Look,
        faults: Callable[[], int],
        names: frozenset[str] = frozenset(),
        patience: CollectorTimeouts | None = None,
    ) -> None:
        self._collector_timeouts = patience or CollectorTimeouts()
        self._look = look
        self._faults = faults
        self._names = names
        self._readings: Sequence[Reading] | None = None
        self._families: dict[tuple[bool, str], list[Family]] = {}
        self._shown: set[tuple[bool, str]] = set()
        self._seen_faults = 0
        self._was_observed = False

    @staticmethod
    def has(collector: Collector) -> bool:
        """Tell whether what ``collector`` collects is in the store."""
        return is_shared(collector) or collector in (PROCESS_COLLECTOR, GC_COLLECTOR)

    def renew(self) -> bool:
        """Look again, if nobody did or a fault was counted since; tell whether that was so."""
        is_old = self._readings is None or self._faults() != self._seen_faults
        if is_old:
            self._seen_faults = self._faults()
            self._readings, families = self._look()
            self._families = {}
            for family in families:
                declaration = family.declaration
                key = (declaration.is_ours, declaration.name)
                self._families.setdefault(key, []).append(family)
        return is_old

    def is_to_be_observed(self) -> bool:
        """Look again if a fault was counted; tell whether that, or the first look, is news."""
        is_news = self.renew() or not self._was_observed
        self._was_observed = True
        return is_news

    @property
    def live_processes(self) -> int:
        """Return the number of live processes."""
        return len({reading.number for reading in self.readings if reading.is_held})

    @property
    def readings(self) -> Sequence[Reading]:
        """Return what was in the slots."""
        self._look_once()
        return self._readings or ()

    @property
    def _found(self) -> Mapping[tuple[bool, str], list[Family]]:
        self._look_once()
        return self._families

    def _look_once(self) -> None:
        if self._readings is None:
            self.renew()

    @property
    def is_of_many(self) -> bool:
        """Tell whether the slots are those of processes, and not this one's memory."""
        return any(reading.header.pid for reading in self.readings)

    def label_sets(self, declaration: Declaration) -> int:
        """Return the number of label sets of a family of ours."""
        found = self._found.get((True, declaration.name), [])
        return len({labels for family in found for labels in family.label_sets})

    def collect(self, collector: Collector) -> Iterable[Metric]:
        """Return what ``collector`` collects, of all processes if it is in the store."""
        if is_guarded(collector):
            return self._ours(cast(GuardedMetric, collector))
        if is_shared(collector):
            return [self._merged(collector, declaration_of(collector))]
        if not self.has(collector) or not self.is_of_many:
            return self._collector_timeouts.collect(collector)
        if collector is PROCESS_COLLECTOR:
            return runtime.process_families(self.readings)
        return [
            MergedMetric(declaration, self._take(declaration))
            for declaration in runtime.GC_FAMILIES.values()
        ]

    def rest(self) -> Iterable[Metric]:
        """Yield the families that no collector of this process has.

        A metric of a module that only Celery imports is one. Of our own families, every
        process has those that are to be shown; what this process has and registered
        nowhere is not to be shown.
        """
        for key, families in list(self._found.items()):
            declaration = families[0].declaration
            if key not in self._shown and not declaration.is_ours and not STORE.owns(declaration):
                yield MergedMetric(declaration, self._take(declaration))

    def _ours(self, metric: GuardedMetric) -> Iterable[Metric]:
        if metric.is_per_scrape or (metric.guard is not None and metric.guard.is_shadowed()):
            return metric.collect()
        asked = self._asked(metric)
        if not asked and not self.is_shown(metric):
            return []
        return [self._merged(metric, metric.declaration, asked)]

    def is_shown(self, metric: GuardedMetric) -> bool:
        """Tell whether a family of ours is in use, or has values of any process."""
        if metric.guard is None or metric.guard.is_in_use():
            return True
        has_children = bool(metric._labelnames and metric._metrics)
        has_values = self.label_sets(metric.declaration) > 0
        return has_values or has_children or bool(_label_sets_of_functions(metric))

    def _asked(self, metric: GuardedMetric) -> list[Family]:
        """Return what is not in the store, but elsewhere, as one more family."""
        declaration = metric.declaration
        if metric.function is None or (self._names and declaration.name not in self._names):
            return []
        found = metric.function(declaration.labels)
        lines = Lines(declaration.labels, list(found), [("", None)])
        return [Family(declaration, list(found), lines, list(found.values()))] if found else []

    def _take(self, declaration: Declaration) -> list[Family]:
        key = (declaration.is_ours, declaration.name)
        self._shown.add(key)
        found = self._found.get(key, [])
        if self.is_of_many:
            return [family for family in found if family.declaration.type == declaration.type]
        # Of one process it is another form of the family, from before a change of settings.
        return [family for family in found if family.declaration == declaration]

    def _merged(
        self, metric: Any, declaration: Declaration, asked: Sequence[Family] = ()
    ) -> Metric:
        families = self._take(declaration)
        functions = _label_sets_of_functions(metric)
        if functions:
            # Nobody else can call them; and what was set before does not count.
            families = [family.without(functions) for family in families]
        families = [*families, *asked]
        extra = [
            _named(metric, sample)
            for labels, samples in _unshared(metric, families)
            # What found no room in a slot has values here that no other process shows.
            if labels in functions or not (self.is_of_many and _has_values(samples))
            for sample in samples
        ]
        return MergedMetric(declaration, families, extra, _exemplars(metric))


def _label_sets_of_functions(metric: Any) -> set[tuple[str, ...]]:
    if metric._type != GAUGE:
        return set()
    children = metric._metrics.copy() if metric._labelnames else {(): metric}
    return {values for values, child in children.items() if "_child_samples" in vars(child)}


def _unshared(
    metric: Any, families: Sequence[Family]
) -> Iterable[tuple[tuple[str, ...], list[Sample]]]:
    """Yield the label sets that no slot has with their samples, zero ones as a rule."""
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
    return any(sample.value for sample in samples if sample.name != "_created")


def _limit(metric: Any) -> float:
    return cast(GuardedMetric, metric).limit if is_guarded(metric) else math.inf


def _label_sets(families: Sequence[Family], names: Iterable[str]) -> set[tuple[str, ...]]:
    alike = [family for family in families if family.declaration.labels == tuple(names)]
    return {labels for family in alike for labels in (*family.label_sets, *family.moved)}


def _named(metric: Any, sample: Sample) -> Sample:
    return sample._replace(name=metric._name + sample.name)


def _exemplars(metric: Any) -> dict[tuple[str, frozenset[tuple[str, str]]], Exemplar]:
    """Return the examples this process has seen; they are in no slot."""
    if not Cell.has_exemplars:
        return {}
    return {
        (sample.name, frozenset(sample.labels.items())): sample.exemplar
        for sample in metric._samples()
        if sample.exemplar is not None
    }
