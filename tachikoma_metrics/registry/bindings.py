"""The metrics of the catalogue, bound to the prometheus_client objects that hold their values."""

from __future__ import annotations

import math
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from prometheus_client.registry import Collector, CollectorRegistry

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue.definitions import Family
from tachikoma_metrics.conf import Config
from tachikoma_metrics.registry.derived import Derived, derive, exposed
from tachikoma_metrics.registry.guarded_metrics import Guard, GuardedMetric, ScrapeFunction
from tachikoma_metrics.registry.metric_types import make
from tachikoma_metrics.registry.shapes import Shape, is_on, name_of_lost, shape_of
from tachikoma_metrics.store import Limit, Limits
from tachikoma_metrics.version import __version__


@dataclass(frozen=True)
class Bound:
    """Pair a declaration of the catalogue with the metric that holds its values."""

    family: Family
    shape: Shape
    metric: GuardedMetric
    is_on: bool

    @cached_property
    def names(self) -> list[str]:
        """Return every name that the metric takes in an exposition."""
        return sorted(self.family.reserved_names(self.shape.full_name))


class Bindings(ABC):
    """Bind each declaration of the catalogue to a metric of the shape that the settings give it.

    The metrics are made when the first of them is needed, and replaced while a changed setting
    gives them another shape. A metric that is switched off is bound, but is in no registry.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.registry = registry
        self.limits: Limits = {}
        self.derived: list[Derived] = []
        self._bound: dict[str, Bound] = {}
        self._made: dict[tuple[str, Shape], GuardedMetric] = {}
        self._lock = threading.RLock()
        self._reset_callbacks: list[Callable[[], None]] = []
        self._functions: dict[str, ScrapeFunction] = {}
        # Every process that serves requests records these, and without them the endpoint would
        # seem to be broken.
        self._in_use = set(catalogue.RECORDED_BY_MIDDLEWARE)
        conf.on_change(self._rebind)

    def __getattr__(self, name: str) -> Any:
        if name not in catalogue.FAMILIES:
            raise AttributeError(f"{name!r} is not a metric of tachikoma_metrics.")
        return self.bound(name).metric

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *catalogue.FAMILIES])

    @abstractmethod
    def _on_full(self, name: str, limit: int) -> None:
        """Count that a label set of a metric was turned into ``overflow``."""

    def bound(self, name: str) -> Bound:
        """Return a declaration of the catalogue with its metric."""
        if name not in self._bound:
            self.bind()
        return self._bound[name]

    def all_bound(self) -> Iterator[Bound]:
        """Yield every declaration of the catalogue with its metric."""
        self.bind()
        yield from list(self._bound.values())

    def owner(self, bound: Bound) -> Collector | None:
        """Return another collector that has one of the metric's names, if there is one."""
        # No lock: a lookup is atomic, and the registry holds its lock while it calls the
        # describe() of a new collector, which may lead here.
        taken = self.registry._names_to_collectors
        for name in bound.names:
            if name in taken:
                return taken[name]
        return None

    def is_taken(self, names: Iterable[str]) -> bool:
        """Return whether a collector has one of ``names``."""
        taken = self.registry._names_to_collectors
        return any(name in taken for name in names)

    def activate(self, names: Iterable[str]) -> None:
        """Expose these metrics from now on, because what records them is in use.

        A metric is exposed, too, from when any process has recorded a value of it.
        """
        self._in_use.update(names)

    def on_reset(self, call: Callable[[], None]) -> None:
        """Call ``call`` when series that were remembered are no longer the right ones."""
        if call not in self._reset_callbacks:
            self._reset_callbacks.append(call)

    def set_function(self, family: Family, function: ScrapeFunction) -> None:
        """Call ``function`` at each scrape of a gauge, for more of its values.

        They are stored nowhere, and added to those that the processes set.
        """
        self._functions[family.name] = function
        self.bound(family.name).metric.function = function

    def bind(self) -> None:
        """Make the metrics, unless they are made."""
        with self._lock:
            if not self._bound:
                self._rebind()

    def register(self) -> None:
        """Register what is switched on, unless the registry is busy registering.

        The registry holds its lock, which is not re-entrant, while it calls the describe() of
        a new collector; if that collector records something, this is called with the lock
        held. The next scrape registers then.
        """
        if self.registry._lock.locked():
            return
        with self._lock:
            for bound in self._bound.values():
                if bound.is_on and bound.metric not in self.registry._collector_to_names:
                    self.registry.register(bound.metric)

    def _reset_all(self) -> None:
        with self._lock:
            for metric in list(self._made.values()):
                if metric.series:
                    metric.reset_series()
            self.bind()
            self._finish_binding()

    def _rebind(self) -> None:
        """Make the metrics in the shape that the present settings give them."""
        config = conf.config()
        with self._lock:
            before = self._bound
            self._bound = {
                family.name: self._bound_as(family, config)
                for family in catalogue.FAMILIES.values()
            }
            self.limits = {
                bound.metric.declaration.name: Limit(
                    bound.metric.limit, bound.family.closed_label_names
                )
                for bound in self._bound.values()
            }
            self.derived = [derive(metric, self._source) for metric in config.derived_metrics]
            self._unregister(before)
        self._finish_binding()

    def _finish_binding(self) -> None:
        self.register()
        self._bound[catalogue.CARDINALITY.name].metric.reset_series()
        self._call_on_reset()
        self._bound[catalogue.INFO.name].metric.labels(__version__).set(1)

    def _bound_as(self, family: Family, config: Config) -> Bound:
        shape = shape_of(family, config)
        metric = self._made.get((family.name, shape))
        if metric is None:
            lost = name_of_lost(family, config)
            stored = shape.stored_labels, shape.stored_buckets
            metric = make(family, shape.full_name, *stored, lost, shape.native)
            metric.show_as(exposed(metric, shape))
            self._made[family.name, shape] = metric
        bound = Bound(family, shape, metric, is_on(family, config))
        metric.guard = self._guard(bound, config)
        metric.function = self._functions.get(family.name)
        return bound

    def _source(self, name: str) -> GuardedMetric | None:
        bound = self._bound[name]
        return bound.metric if bound.is_on else None

    def _unregister(self, before: dict[str, Bound]) -> None:
        for name, bound in before.items():
            is_kept = self._bound[name].is_on and self._bound[name].metric is bound.metric
            if not is_kept and bound.metric in self.registry._collector_to_names:
                self.registry.unregister(bound.metric)

    def _guard(self, bound: Bound, config: Config) -> Guard:
        # The label sets of the package's own health are bounded by its own code.
        is_own_health = bound.family.is_own_health
        return Guard(
            math.inf if is_own_health else config.cardinality_limit,
            is_own_health=is_own_health,
            is_shadowed=lambda: self.owner(bound) is not None,
            is_in_use=lambda: self._is_in_use(bound.family),
            on_full=lambda: self._on_full(bound.family.name, config.cardinality_limit),
            on_removed=self._call_on_reset,
        )

    def _is_in_use(self, family: Family) -> bool:
        config = conf.config()
        if family.recorded_by == catalogue.BUSINESS:
            return family.is_own_health or family.name in config.business_metrics
        is_instrumented = (
            family.name not in catalogue.RECORDED_BY_DATABASES or bool(config.instrument_databases)
        ) and (family.name not in catalogue.RECORDED_BY_CACHES or bool(config.instrument_caches))
        return family.is_own_health or (family.name in self._in_use and is_instrumented)

    def _call_on_reset(self) -> None:
        for call in self._reset_callbacks:
            call()
