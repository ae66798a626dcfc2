"""The families of the catalogue in the form the settings give them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from prometheus_client import REGISTRY, GCCollector, Metric, PlatformCollector, ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from tachikoma_metrics import catalogue, conf, exposition
from tachikoma_metrics.catalogue.definitions import Family, Gauge, Histogram
from tachikoma_metrics.conf import Config
from tachikoma_metrics.exposition import Rank
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import directories, families, runtime, values
from tachikoma_metrics.registry.collector_timeouts import CollectorTimeouts
from tachikoma_metrics.registry.families import Guard, GuardedMetric, ScrapeFunction, is_guarded
from tachikoma_metrics.registry.snapshot import Snapshot
from tachikoma_metrics.store import STORE, Incomplete, Limit, Limits, Merger, Reading
from tachikoma_metrics.store import (
    Family as MergedFamily,
)
from tachikoma_metrics.version import __version__

logger = logging.getLogger("tachikoma_metrics")

_PROCESS_COLLECTORS = (ProcessCollector, PlatformCollector, GCCollector)
_MOST_LOGGED_FAULTS = 100


@dataclass(frozen=True)
class Shape:
    """Tell what the settings make of a family; a family of another shape is another metric."""

    full_name: str
    label_names: tuple[str, ...]
    buckets: tuple[float, ...]


@dataclass(frozen=True)
class Bound:
    """Pair a family with the metric that holds its values."""

    family: Family
    shape: Shape
    metric: GuardedMetric
    is_on: bool

    @cached_property
    def names(self) -> list[str]:
        """Return every name the family takes on a page."""
        return sorted(self.family.reserved_names(self.shape.full_name))


class Metrics:
    """Hold one prometheus_client object per family, as an attribute of the family's name.

    ``registry`` is the ``CollectorRegistry`` they are in. The objects are made when
    first asked for, and others take their place while a changed setting gives them
    another shape. A family that is switched off keeps its attribute, but is in no
    registry.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self._bound: dict[str, Bound] = {}
        self._made: dict[tuple[str, Shape], GuardedMetric] = {}
        self._lock = threading.RLock()
        self._when_forgotten: list[Callable[[], None]] = []
        self._functions: dict[str, ScrapeFunction] = {}
        self._logged: set[object] = set()
        self._faults = 0
        self._settings_are_reported = False
        # Whatever serves requests has them, and a page without them would seem to be broken.
        self._in_use = set(catalogue.RECORDED_BY_MIDDLEWARE)
        self._collector_timeouts = CollectorTimeouts()
        self._merger = Merger()
        self._limits: Limits = {}
        self._coalescer: exposition.Coalescer[str] = exposition.Coalescer()
        conf.on_change(self._rebind)

    def __getattr__(self, name: str) -> Any:
        if name not in catalogue.FAMILIES:
            raise AttributeError(f"{name!r} is not a family of tachikoma_metrics.")
        return self.bound(name).metric

    def __dir__(self) -> list[str]:
        return sorted([*super().__dir__(), *catalogue.FAMILIES])

    def encode(self) -> str:
        """Return the page as text, in the exposition format 0.0.4; raise as ``page`` does."""
        return self.page(exposition.TEXT)

    def page(self, format: exposition.Format, names: frozenset[str] = frozenset()) -> str:
        """Return the page in ``format``; ``names`` keeps the families and samples so named.

        Never raises for a collector's sake: the rest is served, the fault is counted
        in ``tachikoma_metrics_errors_total``.

        Raises ``tachikoma_metrics.store.Incomplete`` if the values of some process cannot be
        read just now: totals without them would be taken for a restart. To be asked again.
        """
        try:
            return self._coalescer.run((format, names), lambda: self._page(format, names))
        except Incomplete as error:
            self.count_store_error(error, None)
            raise
        except Exception as error:
            self.count_error("page", error)
            return self.last_resort(format)

    def last_resort(self, format: exposition.Format) -> str:
        """Return a page that needs nothing, and tells that there were faults."""
        errors = catalogue.ERRORS
        return format.alone(errors.name.removesuffix("_total"), errors.help, self._faults)

    def _page(self, format: exposition.Format, names: frozenset[str]) -> str:
        started_at = time.perf_counter()
        config = conf.config()
        self.report_settings()
        self._register()
        self._collector_timeouts.begin_page()
        snapshot = Snapshot(self._merged, lambda: self._faults, names, self._collector_timeouts)
        gathered = exposition.gather(
            self.registry,
            self.count_error,
            names=names,
            is_wanted=_wanted(config),
            rank=_rank,
            collect=lambda collector: self._collected(snapshot, collector),
            rest=snapshot.rest,
        )
        page = format.render(gathered, self.count_error, dict(config.global_labels))
        self.tachikoma_metrics_scrape_duration_seconds.set(time.perf_counter() - started_at)
        return page

    def _merged(self) -> tuple[list[Reading], list[MergedFamily]]:
        self._bind()
        STORE.claim()
        readings = STORE.readings()
        return readings, self._merger.merge(readings, self.count_store_error, self._limits)

    def _collected(self, snapshot: Snapshot, collector: Collector) -> Iterable[Metric]:
        guard = getattr(collector, "guard", None)
        if guard is not None and guard.is_own_health and snapshot.is_to_be_observed():
            self._observe_ourselves(snapshot)
        return snapshot.collect(collector)

    def count_store_error(self, error: Exception, about: object) -> None:
        """Count a fault of the store, and log it once."""
        self.count_and_log("store", error, about)

    def bound(self, name: str) -> Bound:
        """Return a family of the catalogue with its metric."""
        if name not in self._bound:
            self._bind()
        return self._bound[name]

    def has_counted(self, *counters: Family) -> bool:
        """Tell whether any process of the service has counted anything in ``counters``."""
        declarations = {self.bound(counter.name).metric.declaration for counter in counters}
        _, families = self._merged()
        return any(any(one.values) for one in families if one.declaration in declarations)

    def all_bound(self) -> Iterator[Bound]:
        """Yield every family of the catalogue with its metric."""
        self._bind()
        yield from list(self._bound.values())

    def owner(self, bound: Bound) -> Collector | None:
        """Return another collector that has one of the family's names, if there is one."""
        # No lock: a look-up is atomic, and the registry holds its lock while it
        # asks a new collector for its names, which may lead here.
        taken = self.registry._names_to_collectors
        for name in bound.names:
            if name in taken:
                return taken[name]
        return None

    def count_error(
        self, source: str, error: Exception, about: object = None, *, is_expected: bool = False
    ) -> None:
        """Count a fault that was caught; log the first of its kind and source.

        What ``is_expected`` of a service's surroundings, such as a cache that does not answer,
        is one line of the log, without a traceback.

        Raises nothing but ``error``, and only if that came from outside: then it is no
        fault, and the application's.
        """
        try:
            pass_on(error)
        except BaseException:
            # As ``pass_on`` does.
            del error
            raise
        self.count_and_log(source, error, about, is_expected=is_expected)

    def count_and_log(
        self, source: str, error: Exception, about: object = None, *, is_expected: bool = False
    ) -> None:
        """Count and log a fault as ``count_error`` does, wherever its exception came from."""
        try:
            self.add_error(source)
            self._log_once(
                (source, type(error), repr(about)[:200]),
                logging.ERROR,
                "Instrumentation error in %s%s: %s. Further ones of this kind are counted in "
                "tachikoma_metrics_errors_total, and not logged.",
                source,
                "" if about is None else f", from {about!r}",
                _in_a_line(error),
                exc_info=None if is_expected else error,
            )
        except Exception as trouble:
            pass_on(trouble)
            logger.exception("An instrumentation error in %s could not be counted.", source)

    def add_error(self, source: str) -> None:
        """Count a fault that is told of elsewhere."""
        self._faults += 1
        self.tachikoma_metrics_errors_total.labels(source).inc()

    def begin_serving(self) -> None:
        """Be told that this process serves: it answers requests, or works through a queue."""
        STORE.begin_serving()
        self.report_settings()

    def report_settings(self) -> None:
        """Log and count what is wrong with the settings, once. Never raises.

        Called where a process begins to serve: ``manage.py check`` says the same by itself.
        """
        if self._settings_are_reported:
            return
        self._settings_are_reported = True
        for setting in conf.config().invalid_settings:
            self.add_error("settings")
            logger.error(
                "Invalid setting (tachikoma_metrics.%s): %s %s %s",
                setting.id,
                setting.message,
                setting.consequence,
                setting.hint,
            )

    def settings_were_reported(self) -> None:
        """Be told that what is wrong with the settings was said elsewhere."""
        self._settings_are_reported = True

    def activate(self, names: Iterable[str]) -> None:
        """Have families on the page from now on, for what feeds them is in use.

        A family is there, too, from when any process has recorded a value of it.
        """
        self._in_use.update(names)

    def _is_in_use(self, family: Family) -> bool:
        config = conf.config()
        if family.recorded_by == catalogue.BUSINESS:
            return family.is_own_health or family.name in config.business_metrics
        is_watched = (
            family.name not in catalogue.RECORDED_BY_DATABASES or bool(config.instrument_databases)
        ) and (family.name not in catalogue.RECORDED_BY_CACHES or bool(config.instrument_caches))
        return family.is_own_health or (family.name in self._in_use and is_watched)

    def on_reset(self, call: Callable[[], None]) -> None:
        """Have ``call`` called when remembered series are no longer the right ones."""
        if call not in self._when_forgotten:
            self._when_forgotten.append(call)

    def set_function(self, family: Family, function: ScrapeFunction) -> None:
        """Call ``function`` at each scrape that shows a gauge, for more of its values.

        They are stored nowhere, and added to those that the processes set.
        """
        self._functions[family.name] = function
        self.bound(family.name).metric.function = function

    def renew_locks(self) -> None:
        """Make all locks anew, in a forked child: a thread of the parent's may hold one."""
        self._lock = threading.RLock()
        self._coalescer.renew()
        self._collector_timeouts.forget()
        self.registry._lock = threading.Lock()
        for collector in list(self.registry._collector_to_names):
            values.renew_lock(collector)

    def reset(self) -> None:
        """Start all families anew, without a series. For tests."""
        with self._lock:
            for metric in list(self._made.values()):
                if metric.series:
                    metric.reset_series()
            self._logged.clear()
            self._bind()
            self._start_anew()

    def _bind(self) -> None:
        with self._lock:
            if not self._bound:
                self._rebind()

    def _rebind(self) -> None:
        """Have the families in the form that changed settings give them."""
        config = conf.config()
        with self._lock:
            before = self._bound
            self._bound = {
                family.name: self._bound_as(family, config)
                for family in catalogue.FAMILIES.values()
            }
            self._limits = {
                bound.metric.declaration.name: Limit(
                    bound.metric.limit, bound.family.closed_label_names
                )
                for bound in self._bound.values()
            }
            self._unregister(before)
        self._start_anew()

    def _start_anew(self) -> None:
        self._register()
        self._bound["tachikoma_metrics_cardinality"].metric.reset_series()
        self._forget()
        self.tachikoma_metrics_info.labels(__version__).set(1)
        self._settings_are_reported = False

    def _bound_as(self, family: Family, config: Config) -> Bound:
        shape = shape_of(family, config)
        metric = self._made.get((family.name, shape))
        if metric is None:
            metric = families.make(
                family,
                shape.full_name,
                shape.label_names,
                shape.buckets,
                _name_of_lost(family, config),
            )
            self._made[family.name, shape] = metric
        bound = Bound(family, shape, metric, is_on(family, config))
        metric.guard = self._guard(bound, config)
        metric.function = self._functions.get(family.name)
        return bound

    def _register(self) -> None:
        """Register what is switched on, unless the registry is busy registering.

        It holds its lock, which is not re-entrant, while it asks a new collector for
        its names; if that collector records something, this is called with the lock
        held. The next page makes up for it.
        """
        if self.registry._lock.locked():
            return
        with self._lock:
            for bound in self._bound.values():
                if bound.is_on and bound.metric not in self.registry._collector_to_names:
                    self.registry.register(bound.metric)

    def _unregister(self, before: dict[str, Bound]) -> None:
        for name, bound in before.items():
            is_kept = self._bound[name].is_on and self._bound[name].metric is bound.metric
            if not is_kept and bound.metric in self.registry._collector_to_names:
                self.registry.unregister(bound.metric)

    def _guard(self, bound: Bound, config: Config) -> Guard:
        # What we say of ourselves is bounded by our own code.
        is_own_health = bound.family.is_own_health
        return Guard(
            math.inf if is_own_health else config.cardinality_limit,
            is_own_health=is_own_health,
            is_shadowed=lambda: self.owner(bound) is not None,
            is_in_use=lambda: self._is_in_use(bound.family),
            on_full=lambda: self._overflowed(bound.family.name, config.cardinality_limit),
            on_removed=self._forget,
        )

    def _overflowed(self, name: str, limit: int) -> None:
        self.tachikoma_metrics_overflow_total.labels(name).inc()
        self._log_once(
            ("overflow", name),
            logging.WARNING,
            "%s has reached CARDINALITY_LIMIT, %d label sets; new ones are counted under "
            "`overflow`, apart from labels such as `status`. Drop a label with LABELS or raise "
            "CARDINALITY_LIMIT.",
            name,
            limit,
        )

    def _log_once(self, key: object, level: int, message: str, *details: Any, **how: Any) -> None:
        if key not in self._logged and len(self._logged) < _MOST_LOGGED_FAULTS:
            self._logged.add(key)
            logger.log(level, message, *details, **how)

    def _forget(self) -> None:
        for call in self._when_forgotten:
            call()

    def _observe_ourselves(self, snapshot: Snapshot) -> None:
        self.tachikoma_metrics_processes.set(snapshot.living)
        series = self.tachikoma_metrics_cardinality
        for bound in self.all_bound():
            is_counted = bool(bound.shape.label_names) and not bound.family.is_own_health
            if bound.is_on and is_counted and snapshot.is_shown(bound.metric):
                count = snapshot.label_sets(bound.metric.declaration)
                series.labels(bound.family.name).set(count)


_LONGEST_LINE = 300


def _in_a_line(error: Exception) -> str:
    said = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {said[:_LONGEST_LINE]}" if said else type(error).__name__


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


_OF_QUERIES = (catalogue.HTTP_REQUEST_DB_QUERIES, catalogue.HTTP_REQUEST_DB)


def is_on(family: Family, config: Config) -> bool:
    """Tell whether the settings have ``family`` measured."""
    switched_on = not family.opt_in or family.name in config.extra_metrics
    is_unknown = family in _OF_QUERIES and config.instrument_databases is False
    is_off = is_unknown or family.name in config.disabled_metrics
    return config.enabled and switched_on and not is_off


def shape_of(family: Family, config: Config) -> Shape:
    """Return the name, labels and buckets that the settings give ``family``."""
    return Shape(_full_name(family, config), _label_names(family, config), _buckets(family, config))


def _full_name(family: Family, config: Config) -> str:
    if not config.namespace or family.is_own_health:
        return family.name
    return f"{config.namespace}_{family.name}"


def _name_of_lost(family: Family, config: Config) -> str:
    lost = family.lost if isinstance(family, Gauge) else None
    return "" if lost is None else _full_name(lost, config)


def _label_names(family: Family, config: Config) -> tuple[str, ...]:
    if family.name not in config.labels or family.is_own_health:
        return family.label_names
    possible = possible_labels(family, config)
    return tuple(name for name in config.labels[family.name] if name in possible)


def possible_labels(family: Family, config: Config) -> tuple[str, ...]:
    """Return the names of all labels ``LABELS`` may give to ``family``."""
    if family.name not in catalogue.RECORDED_BY_REQUESTS:
        return family.allowed_label_names
    return (*family.allowed_label_names, *config.extra_labels)


def _buckets(family: Family, config: Config) -> tuple[float, ...]:
    if not isinstance(family, Histogram):
        return ()
    default = family.buckets
    if family.bucket_setting is not None:
        default = getattr(config, family.bucket_setting.lower())
    return tuple(config.buckets.get(family.name, default))


METRICS = Metrics()
"""The families of this process, in prometheus_client's own registry."""


def _count_collections() -> None:
    if conf.config().include_process_metrics and STORE.is_shared:
        runtime.count_collections()


def _make_room_for_faults() -> None:
    if STORE.is_shared:
        STORE.afterwards(_show_faults)


def _show_faults() -> None:
    # From the first on: when there is no room for it, it is needed.
    METRICS.tachikoma_metrics_errors_total.labels("store").inc(0)


def install() -> None:
    """Have the values of all metrics of this process where other processes see them."""
    values.install(METRICS.count_store_error)


STORE.where = directories.where
STORE.prepare = directories.prepare
STORE.seconds_to_keep = lambda: conf.config().keep_totals
STORE.on_error = METRICS.count_store_error
STORE.on_maintenance(_count_collections)
STORE.on_maintenance(_make_room_for_faults)
STORE.on_maintenance(values.drop_removed)
STORE.on_maintenance(directories.refresh)
STORE.on_fork(METRICS.renew_locks)
STORE.on_fork(runtime.leave_collections_to_parent)
conf.on_change(STORE.revisit)
