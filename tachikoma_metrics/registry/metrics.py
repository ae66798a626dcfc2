"""The metrics of this process: how they are changed, exposed and reset."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.registry import CollectorRegistry

from tachikoma_metrics import catalogue, exposition
from tachikoma_metrics.catalogue.definitions import Family
from tachikoma_metrics.exposition import Exposition, Format
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import values
from tachikoma_metrics.registry.bindings import Bindings
from tachikoma_metrics.registry.collector_timeouts import CollectorTimeouts
from tachikoma_metrics.registry.counterparts import Counterpart, counterparts
from tachikoma_metrics.registry.error_log import ErrorLog
from tachikoma_metrics.registry.scrape import Scrape
from tachikoma_metrics.registry.snapshot import Snapshot
from tachikoma_metrics.store import STORE, Incomplete, Merger, Reading
from tachikoma_metrics.store import Family as MergedFamily


class Metrics(Bindings):
    """Hold one prometheus_client object per metric, as an attribute of the metric's name.

    ``registry`` is the ``CollectorRegistry`` they are in. The objects are made when the first
    of them is needed, and others take their place while a changed setting gives them another
    shape. A metric that is switched off keeps its attribute, but is in no registry.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._errors = ErrorLog(self._increment_errors)
        self._collector_timeouts = CollectorTimeouts()
        self._merger = Merger()
        self._is_serving = False
        self._serving_calls: list[Callable[[], None]] = []
        self._coalescer: exposition.Coalescer[Any] = exposition.Coalescer()
        super().__init__(registry)

    # --- exposition ---------------------------------------------------------

    def encode(self) -> str:
        """Return the exposition in the text format 0.0.4; raise as ``expose`` does."""
        return self.expose(exposition.TEXT)

    def expose(self, format: Format[Exposition], names: frozenset[str] = frozenset()) -> Exposition:
        """Return the exposition in ``format``; ``names`` keeps the metrics and samples so named.

        A collector that raises is left out, and counted in ``tachikoma_metrics_errors_total``.

        Raises ``tachikoma_metrics.store.Incomplete`` if the values of some process cannot be
        read at the moment: Prometheus would take totals without them for a restart. The caller
        may try again.
        """
        try:
            found: Exposition = self._coalescer.run(
                (format, names), lambda: self._scrape(format, names)
            )
            return found
        except Incomplete as error:
            self.count_store_error(error, None)
            raise
        except Exception as error:
            self.count_error("page", error)
            return self.last_resort(format)

    def last_resort(self, format: Format[Exposition]) -> Exposition:
        """Return an exposition of the number of errors alone, which needs no metric."""
        errors = catalogue.ERRORS
        return format.alone(errors.name.removesuffix("_total"), errors.help, self._errors.count)

    def has_counted(self, *counters: Family) -> bool:
        """Return whether any process of the service has counted anything in ``counters``."""
        declarations = {self.bound(counter.name).metric.declaration for counter in counters}
        _, families = self._merged()
        return any(any(one.values) for one in families if one.declaration in declarations)

    def counterparts(self) -> list[Counterpart]:
        """Return the metrics of ``VIEWS``, each with that of the package that it replaces.

        Raises ``tachikoma_metrics.store.Incomplete`` as ``expose`` does.
        """
        self.bind()
        snapshot = Snapshot(
            self._merged, lambda: self._errors.count, frozenset(), self._collector_timeouts
        )
        return list(counterparts(snapshot, self.derived))

    def _scrape(self, format: Format[Exposition], names: frozenset[str]) -> Exposition:
        self.report_settings()
        self.register()
        self._collector_timeouts.begin_scrape()
        scrape = Scrape(
            self, self._merged, lambda: self._errors.count, names, self._collector_timeouts
        )
        return scrape.render(format, self.count_error)

    def _merged(self) -> tuple[list[Reading], list[MergedFamily]]:
        self.bind()
        STORE.claim()
        readings = STORE.readings()
        return readings, self._merger.merge(readings, self.count_store_error, self.limits)

    # --- instrumentation errors -----------------------------------------------

    def count_error(
        self, source: str, error: Exception, about: object = None, *, is_expected: bool = False
    ) -> None:
        """Count an instrumentation error that was caught; log the first of its kind and source.

        An error that ``is_expected``, such as a cache that does not respond, is logged as one
        line, without a traceback.

        Raises nothing but ``error``, and only if that came from outside the package: then it
        is no instrumentation error, but an exception for the application.
        """
        try:
            pass_on(error)
        except BaseException:
            # As ``pass_on`` does.
            del error
            raise
        self._errors.record(source, error, about, is_expected=is_expected)

    def count_and_log(
        self, source: str, error: Exception, about: object = None, *, is_expected: bool = False
    ) -> None:
        """Count and log an error as ``count_error`` does, wherever its exception came from."""
        self._errors.record(source, error, about, is_expected=is_expected)

    def count_store_error(self, error: Exception, about: object) -> None:
        """Count an error of the store, and log it once."""
        self._errors.record("store", error, about)

    def add_error(self, source: str) -> None:
        """Count an error that is logged elsewhere."""
        self._errors.add(source)

    def _increment_errors(self, source: str) -> None:
        self.tachikoma_metrics_errors_total.labels(source).inc()

    def _on_full(self, name: str, limit: int) -> None:
        self.tachikoma_metrics_overflow_total.labels(name).inc()
        self._errors.log_once(
            ("overflow", name),
            logging.WARNING,
            "%s has reached CARDINALITY_LIMIT, %d label sets; new ones are counted under "
            "`overflow`, apart from labels such as `status`. Drop a label with LABELS or raise "
            "CARDINALITY_LIMIT.",
            name,
            limit,
        )

    # --- the life of a process ------------------------------------------------

    def begin_serving(self) -> None:
        """Note that this process serves: it answers requests, or works through a queue."""
        self._is_serving = True
        STORE.begin_serving()
        self.report_settings()
        for call in self._serving_calls:
            call()

    def on_serving(self, call: Callable[[], None]) -> None:
        """Call ``call`` where this process begins to serve, and now if it has begun."""
        self._serving_calls.append(call)
        if self._is_serving:
            call()

    def report_settings(self) -> None:
        """Log and count what is wrong with the settings, once. Never raises.

        Called where a process begins to serve; ``manage.py check`` reports the same by itself.
        """
        self._errors.report_settings()

    def settings_were_reported(self) -> None:
        """Note that the invalid settings were reported elsewhere."""
        self._errors.mark_settings(are_reported=True)

    def renew_locks(self) -> None:
        """Replace all locks in a forked child: a thread of the parent may hold one."""
        self._lock = threading.RLock()
        self._coalescer.renew()
        self._collector_timeouts.forget()
        self.registry._lock = threading.Lock()
        for collector in list(self.registry._collector_to_names):
            values.renew_lock(collector)

    def reset(self) -> None:
        """Reset all built-in metrics. For tests."""
        with self._lock:
            self._errors.forget()
            self._reset_all()

    def _finish_binding(self) -> None:
        super()._finish_binding()
        self._errors.mark_settings(are_reported=False)


METRICS = Metrics()
"""The metrics of this process, in prometheus_client's own registry."""
