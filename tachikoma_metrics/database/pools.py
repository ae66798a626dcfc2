"""The state of psycopg's pools, which Django makes for ``OPTIONS={"pool": ...}``.

Each process with a pool reads its statistics once a second, in a thread: a process whose requests
all wait for a connection records nothing else. The statistics are in the pool's memory, and no
query is sent.

https://www.psycopg.org/psycopg3/docs/advanced/pool.html#pool-stats
"""

from __future__ import annotations

import threading
import weakref
from collections import defaultdict
from typing import Any

from tachikoma_metrics.catalogue import DB_POOL_CONNECTIONS, DB_POOL_REQUESTS_WAITING, DB_POOL_WAIT
from tachikoma_metrics.catalogue.definitions import Gauge
from tachikoma_metrics.catalogue.labels import clean
from tachikoma_metrics.conf import config
from tachikoma_metrics.recording import events
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE
from tachikoma_metrics.store.exclusion import one_at_a_time

_SECONDS_BETWEEN_READINGS = 1.0

_Values = dict[tuple[str, ...], float]

_pools: dict[str, weakref.ref[Any]] = {}
"""The pool of each database that this process uses, by alias."""

_counted: weakref.WeakKeyDictionary[Any, float] = weakref.WeakKeyDictionary()
"""The milliseconds of waiting that were counted for each pool."""

_is_reading = False
"""Whether a thread reads the statistics now; it is exchanged as ``store.exclusion`` describes."""

_reader: threading.Thread | None = None


def install() -> None:
    """Read the statistics before each scrape that this process answers, and at its end."""
    STORE.on_maintenance(_read)
    STORE.on_fork(_leave_to_parent)


def follow(alias: str, pool: Any) -> None:
    """Record the state of the pool of a database from now on, if it is one of psycopg's."""
    known = _pools.get(alias)
    if (known is None or known() is not pool) and hasattr(pool, "get_stats"):
        _read()
        _pools[alias] = weakref.ref(pool)
        _read()
    if _pools and _is_on():
        _start_reader()


def _is_on() -> bool:
    return config().is_extra(DB_POOL_CONNECTIONS, DB_POOL_REQUESTS_WAITING, DB_POOL_WAIT)


def _start_reader() -> None:
    global _reader
    if _reader is None or not _reader.is_alive():
        _reader = reader = threading.Thread(
            target=_keep_reading, name="database-pools", daemon=True
        )
        reader.start()


def _keep_reading() -> None:
    pause = threading.Event()
    # Two threads may have started one at the same time.
    while _reader is threading.current_thread() and _is_on():
        _read()
        pause.wait(_SECONDS_BETWEEN_READINGS)


@one_at_a_time
def _read() -> None:
    """Record the state of all pools, unless another thread does that now. Never raises."""
    global _is_reading
    was_reading = True
    try:
        was_reading, _is_reading = _is_reading, True
        if not was_reading and _pools and _is_on():
            _record()
    except Exception as error:
        METRICS.count_error("database", error)
    finally:
        if not was_reading:
            _is_reading = False


def _record() -> None:
    connections: _Values = {}
    waiting: _Values = {}
    for alias, reference in list(_pools.items()):
        pool = reference()
        statistics = {} if pool is None else pool.get_stats()
        if pool is not None:
            _count_waiting(alias, pool, statistics)
        is_open = pool is not None and not pool.closed
        connections.update(_by_state(alias, statistics if is_open else {}))
        waiting[alias,] = statistics.get("requests_waiting", 0) if is_open else 0
    _set(DB_POOL_CONNECTIONS, connections)
    _set(DB_POOL_REQUESTS_WAITING, waiting)


def _by_state(alias: str, statistics: dict[str, int]) -> _Values:
    opened = statistics.get("pool_size", 0)
    idle = min(statistics.get("pool_available", 0), opened)
    return {
        (alias, "idle"): idle,
        (alias, "used"): opened - idle,
        (alias, "unopened"): max(statistics.get("pool_max", 0) - opened, 0),
    }


def _count_waiting(alias: str, pool: Any, statistics: dict[str, int]) -> None:
    total = statistics.get("requests_wait_ms", 0)
    counted = _counted.get(pool, 0)
    # pop_stats() of the pool starts them again from zero.
    added = total - counted if total >= counted else total
    _counted[pool] = total
    events.DB_POOL_WAIT.record_valid((clean(alias),), (added / 1000,))


def _set(family: Gauge, values: _Values) -> None:
    """Set a gauge, summed over the labels that ``LABELS`` leaves out."""
    bound = METRICS.bound(family.name)
    if not bound.is_on:
        return
    sums: _Values = defaultdict(float)
    for offered, value in values.items():
        by_name = dict(zip(family.label_names, offered, strict=True))
        sums[tuple(clean(by_name[name]) for name in bound.shape.label_names)] += value
    for labels, value in sums.items():
        metric = bound.metric.child(labels)[0] if labels else bound.metric
        metric.cell.set(value)


def _leave_to_parent() -> None:
    """Forget the pools in a forked child, which uses its own; the parent counts what was before."""
    global _reader, _is_reading
    _reader, _is_reading = None, False
    _pools.clear()
    for pool in list(_counted):
        _counted[pool] = pool.get_stats().get("requests_wait_ms", 0)
