"""One scrape: the metrics of a registry, and of all processes of the service, in a format."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import cast

from prometheus_client import GCCollector, Metric, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector

from tachikoma_metrics import conf, exposition
from tachikoma_metrics.conf import Config
from tachikoma_metrics.exposition import Exposition, Format, OnError, Rank
from tachikoma_metrics.registry.bindings import Bindings
from tachikoma_metrics.registry.collector_timeouts import CollectorTimeouts
from tachikoma_metrics.registry.derived import Derived
from tachikoma_metrics.registry.guarded_metrics import GuardedMetric, is_guarded
from tachikoma_metrics.registry.snapshot import Merge, Snapshot
from tachikoma_metrics.store import Incomplete

_PROCESS_COLLECTORS = (ProcessCollector, PlatformCollector, GCCollector)


class Scrape:
    """Collect what the registry of ``bindings`` holds, for one response.

    ``merge`` reads the values of all processes, ``error_count`` returns the number of
    instrumentation errors so far, and ``names`` keeps the metrics and samples so named, all if
    it is empty.
    """

    def __init__(
        self,
        bindings: Bindings,
        merge: Merge,
        error_count: Callable[[], int],
        names: frozenset[str],
        timeouts: CollectorTimeouts,
    ) -> None:
        self._bindings = bindings
        self._names = names
        self._snapshot = Snapshot(merge, error_count, names, timeouts)

    def render(self, format: Format[Exposition], on_error: OnError) -> Exposition:
        """Return the exposition in ``format``; ``on_error`` is given what is left out of it."""
        started_at = time.perf_counter()
        config = conf.config()
        gathered = exposition.gather(
            self._bindings.registry,
            on_error,
            names=self._names,
            is_wanted=_wanted(config),
            rank=_rank,
            collect=self._collect,
            rest=partial(self._rest, on_error),
        )
        rendered = format.render(gathered, on_error, dict(config.global_labels))
        self._bindings.tachikoma_metrics_scrape_duration_seconds.set(
            time.perf_counter() - started_at
        )
        return rendered

    def _collect(self, collector: Collector) -> Iterable[Metric]:
        guard = getattr(collector, "guard", None)
        if guard is not None and guard.is_own_health and self._snapshot.needs_observation():
            self._observe_own_health()
        return self._snapshot.collect(collector)

    def _rest(self, on_error: OnError) -> Iterable[Metric]:
        for derived in self._bindings.derived:
            if self._is_wanted(derived):
                yield from self._derived(derived, on_error)
        yield from self._snapshot.rest()

    def _derived(self, derived: Derived, on_error: OnError) -> Iterable[Metric]:
        try:
            return self._snapshot.derived(derived)
        except Incomplete:
            raise
        except Exception as error:
            on_error("collector", error, derived.metric.name)
            return ()

    def _is_wanted(self, derived: Derived) -> bool:
        is_named = not self._names or not self._names.isdisjoint(derived.names)
        return is_named and not self._bindings.is_taken(derived.names)

    def _observe_own_health(self) -> None:
        snapshot = self._snapshot
        self._bindings.tachikoma_metrics_processes.set(snapshot.live_processes)
        cardinality = self._bindings.tachikoma_metrics_cardinality
        for bound in self._bindings.all_bound():
            is_counted = bool(bound.shape.stored_labels) and not bound.family.is_own_health
            if bound.is_on and is_counted and snapshot.is_exposed(bound.metric):
                count = snapshot.label_sets(bound.metric.declaration)
                cardinality.labels(bound.family.name).set(count)


def _wanted(config: Config) -> Callable[[Collector], bool]:
    if config.include_process_metrics:
        return lambda collector: True
    return lambda collector: not isinstance(collector, _PROCESS_COLLECTORS)


def _rank(collector: Collector) -> Rank:
    if is_guarded(collector):
        guard = cast(GuardedMetric, collector).guard
        is_own_health = guard is not None and guard.is_own_health
        return Rank.OWN_HEALTH if is_own_health else Rank.CATALOGUED
    return Rank.SHARED if Snapshot.has(collector) else Rank.ELSEWHERE
