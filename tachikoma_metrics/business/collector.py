"""What a page shows of the counts: the snapshot, which it reads, and never the tables."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from django.db import connections
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.business import snapshot
from tachikoma_metrics.business.families import CATALOGUED
from tachikoma_metrics.business.snapshot import NOTHING, CountedFamily, DatabaseStore, Snapshot
from tachikoma_metrics.catalogue.definitions import Gauge
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import METRICS, ScrapeFunction
from tachikoma_metrics.registry.deadlines import TimedCalls
from tachikoma_metrics.registry.thread_connections import closing_connections
from tachikoma_metrics.store import STORE

_WHEN_LATE = (
    "`BUSINESS_STORE` should be readable within a second; the page shows the last copy. "
    "Look whether the database, or the cache, answers."
)
_SECONDS_A_COPY_IS_NEW = 1.0


class SnapshotReader:
    """Read the snapshot for the page, and keep a copy for when it cannot be read."""

    def __init__(self) -> None:
        self._questions = TimedCalls()
        self._seen_writes = 0
        self.forget()

    def forget(self) -> None:
        """Forget the copy, and in a forked child the threads too."""
        self._questions.forget()
        self._lock = threading.Lock()
        self._copy = NOTHING
        self._is_up = True
        self.expire()

    def expire(self) -> None:
        """Have the snapshot read again, however new the copy is."""
        self._is_new_until = 0.0

    def read(self) -> tuple[Snapshot, bool]:
        """Return the snapshot, and whether it could be read just now. Never raises.

        The families of one page ask one after the other, and get the same.
        """
        with self._lock:
            writes = snapshot.writes()
            if time.monotonic() >= self._is_new_until or writes != self._seen_writes:
                found, is_to_keep = self._look()
                self._is_up = found is not None
                self._copy = found or self._copy
                self._seen_writes = writes
                seconds = _SECONDS_A_COPY_IS_NEW if is_to_keep else 0.0
                self._is_new_until = time.monotonic() + seconds
            return self._copy, self._is_up

    def _look(self) -> tuple[Snapshot | None, bool]:
        """Return the snapshot, and whether others would see the same."""
        try:
            store = snapshot.store()
            if is_within_a_test(store):
                # What a test has written, it alone can see.
                return store.read(), False
            question = self._questions.start(
                "business snapshot", _read_and_close, self._fail, _WHEN_LATE
            )
            return question.wait(), True
        except Exception as error:
            pass_on(error)
            self._fail(error)
            return None, True

    def _fail(self, error: Exception) -> None:
        # ``business_up`` tells how long it lasts: a fault for each scrape would say no more.
        if self._is_up:
            METRICS.count_and_log("business", error, is_expected=True)


def is_within_a_test(store: snapshot.SnapshotStore) -> bool:
    """Tell whether a test has a transaction under way in which the snapshot is."""
    if not isinstance(store, DatabaseStore) or not conf.is_test_run():
        return False
    return connections[store.alias].in_atomic_block


def _read_and_close() -> Snapshot:
    with closing_connections(partial(METRICS.count_error, "business")):
        return snapshot.store().read()


READER = SnapshotReader()


class BusinessCollector(Collector):
    """Yield the families that are counted and are not in the catalogue."""

    def describe(self) -> Iterable[Metric]:
        """Reserve no names, and read nothing."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return the families of the snapshot that are not too old."""
        if not is_wanted():
            return []
        own = {gauge.name for gauge in CATALOGUED}
        return [_gauge(family) for family in _fresh() if family.name not in own]


COLLECTOR = BusinessCollector()
"""The one collector of this process: an app may be made ready several times."""


def is_wanted() -> bool:
    """Tell whether the settings have anything counted."""
    config = conf.config()
    return config.enabled and bool(config.business_metrics)


def _fresh() -> list[CountedFamily]:
    found, _ = READER.read()
    oldest = time.time() - conf.config().business_lifetime
    return [family for family in found.families if family.at >= oldest]


def _gauge(family: CountedFamily) -> Metric:
    gauge = GaugeMetricFamily(family.name, family.help, labels=family.labels)
    for values, number in family.counts.items():
        gauge.add_metric(values, number)
    return gauge


# --- families of the catalogue ----------------------------------------------


def _counts_of(gauge: Gauge, label_names: tuple[str, ...]) -> Mapping[tuple[str, ...], float]:
    """Return the numbers of a family by the labels that ``LABELS`` leaves it."""
    counts: dict[tuple[str, ...], float] = {}
    if is_wanted():
        for family in _fresh():
            if family.name == gauge.name:
                for values, number in family.counts.items():
                    named = dict(zip(family.labels, values, strict=True))
                    key = tuple(named.get(name, "") for name in label_names)
                    counts[key] = counts.get(key, 0.0) + number
    return counts


def _health(tell: Callable[[Snapshot, bool], float | None]) -> ScrapeFunction:
    def asked(_: tuple[str, ...]) -> Mapping[tuple[str, ...], float]:
        told = tell(*READER.read()) if is_wanted() else None
        return {} if told is None else {(): told}

    return asked


def install() -> None:
    """Have the page show the counts; reads nothing now."""
    if COLLECTOR not in METRICS.registry._collector_to_names:
        METRICS.registry.register(COLLECTOR)
    for gauge in CATALOGUED:
        METRICS.set_function(gauge, partial(_counts_of, gauge))
    told: dict[Gauge, Callable[[Snapshot, bool], float | None]] = {
        catalogue.BUSINESS_UP: lambda _, is_up: float(is_up),
        catalogue.BUSINESS_TIMESTAMP: lambda found, _: found.taken_at or None,
        catalogue.BUSINESS_REFRESH_DURATION: lambda found, _: (
            found.duration if found.taken_at else None
        ),
        catalogue.BUSINESS_REFRESH_ERRORS: lambda found, _: (
            float(len(found.failed)) if found.taken_at else None
        ),
    }
    for gauge, tell in told.items():
        METRICS.set_function(gauge, _health(tell))
    METRICS.on_reset(READER.expire)
    STORE.on_fork(READER.forget)
