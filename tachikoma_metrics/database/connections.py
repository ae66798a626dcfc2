"""The database: its queries and its connections, of any engine.

Django tells of each connection that opens (``connection_created``) and lets others
stand around each query (``execute_wrappers``). Of a connection that closes it tells
nobody, so a connection's class is replaced by a subclass of it whose ``close`` is watched;
what is dropped unclosed ends with the driver's own object. ``ENGINE`` stays what it is.

https://docs.djangoproject.com/en/stable/topics/db/instrumentation/
"""

from __future__ import annotations

import weakref
from functools import lru_cache
from time import perf_counter
from typing import Any

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from tachikoma_metrics.conf import config, on_change
from tachikoma_metrics.database.execute_wrappers import MeasuredWrappers
from tachikoma_metrics.database.queries import QueryWatch
from tachikoma_metrics.database.tables import reader_of
from tachikoma_metrics.interruptions import is_interruption
from tachikoma_metrics.recording.events import DB_CONNECTION
from tachikoma_metrics.recording.subclasses import alike, derived, give, is_derived
from tachikoma_metrics.registry import METRICS, Progress
from tachikoma_metrics.store import STORE

_MOST_CLASSES = 64

_open: dict[int, tuple[weakref.finalize[Any, Any], Progress]] = {}
"""What ends each connection that counts as open, by the id of what it ends with."""

_pools: weakref.WeakSet[Any] = weakref.WeakSet()
"""The pools of this process: what they open by themselves, nobody tells of."""


def install() -> None:
    """Watch every connection from now on; opens none."""
    connection_created.connect(_watch, dispatch_uid=__name__)
    STORE.on_maintenance(_count_pooled)
    on_change(_watch_open)
    _watch_open()


def _watch_open() -> None:
    """Watch the connections that this thread has open."""
    try:
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None:
                _watch(connection)
    except Exception as error:
        METRICS.count_error("database", error)


def _watch(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Watch a connection that was opened, unless its database is not to be measured."""
    try:
        _watch_connection(connection)
    except BaseException as error:
        if is_interruption(error):
            _watch_connection(connection)
            raise
        METRICS.count_error("database", error, connection.alias)  # type: ignore[arg-type]  # See above.


def _watch_connection(connection: BaseDatabaseWrapper) -> None:
    """Watch a connection that is open; doing it twice changes nothing."""
    if config().instruments_database(connection.alias):
        _watch_queries(connection)
        kind: Any = type(connection)
        if not is_derived(kind):
            give(connection, _watched(kind))
        _count_open(connection)


def _watch_queries(connection: BaseDatabaseWrapper) -> None:
    wrappers = connection.execute_wrappers
    if isinstance(wrappers, MeasuredWrappers):
        # What it is connected to may have changed, as it does in tests.
        wrappers.watch.reader = reader_of(connection)
    else:
        watch = QueryWatch(connection.alias, reader_of(connection))
        connection.execute_wrappers = MeasuredWrappers(wrappers, watch)


@lru_cache(_MOST_CLASSES)
def _watched(original: Any) -> Any:
    """Return a connection's class that counts what is closed.

    ``close`` calls ``_close``, whatever other code has put in its place; an engine may have a
    ``close`` that does not.
    """

    def close(connection: Any) -> None:
        before = connection.connection
        owner = _owner_before(connection, before)
        try:
            super(watched, connection).close()
        finally:
            # Within a transaction, one that is closed stays where it is.
            if connection.connection is not before or connection.closed_in_transaction:
                try:
                    _count_closed(connection, owner)
                except BaseException:
                    _count_closed(connection, owner)
                    raise

    def _close(connection: Any) -> None:
        owner = _owner_before(connection, connection.connection)
        try:
            super(watched, connection)._close()
        finally:
            _count_closed(connection, owner)

    members = {
        "close": alike(close, original.close),
        "_close": alike(_close, original._close),
    }
    watched: Any = derived(original, members, _watched)
    return watched


def _count_open(connection: BaseDatabaseWrapper) -> None:
    _count_owner(_owner(connection, connection.connection))
    pool = getattr(connection, "pool", None)
    if hasattr(pool, "_pool"):
        _pools.add(pool)
        _count_pooled()


def _count_owner(owner: Any) -> None:
    key = id(owner)
    if key not in _open:
        progress = Progress()
        closed = weakref.finalize(owner, _abandon, key, progress)
        # When the process ends, it holds no slot, and nothing of it counts as open.
        closed.atexit = False
        _open[key] = closed, progress
    _, progress = _open[key]
    if progress.cell is None:
        DB_CONNECTION.begin(progress, perf_counter())


def _count_pooled() -> None:
    """Count what psycopg's pools keep open for nobody, as far as they tell."""
    for pool in list(_pools):
        # Other threads change it; to copy it is one step.
        for owner in tuple(pool._pool.copy()):
            _count_owner(owner)


def _owner_before(connection: BaseDatabaseWrapper, given: Any) -> Any:
    """Return the owner of what is about to be closed; None if there is none.

    That of a pool's connection is only known until it is given back.
    """
    try:
        return None if given is None else _owner(connection, given)
    except Exception as error:
        METRICS.count_error("database", error, connection.alias)
        return None


def _count_closed(connection: BaseDatabaseWrapper, owner: Any) -> None:
    try:
        key = id(owner)
        if key in _open and not _is_open(owner):
            closed, progress = _open[key]
            _abandon(key, progress)
            closed.detach()
    except Exception as error:
        METRICS.count_error("database", error, connection.alias)


def _is_open(owner: Any) -> bool:
    """Tell whether a connection that was given back is open, as those of a pool are."""
    # psycopg2 says 0, and drivers of MySQL say whether it is open. Those that do not know
    # have no pool either.
    closed = getattr(owner, "closed", None)
    return bool(getattr(owner, "open", False)) if closed is None else closed in (False, 0)


def _owner(connection: BaseDatabaseWrapper, given: Any) -> Any:
    """Return what the connection ends with: the driver's, if that can be watched."""
    # SQLAlchemy's pools give something that stands before the driver's connection, and
    # forgets it when it is given back.
    driver_connection = getattr(given, "dbapi_connection", None) or given
    # sqlite3's cannot.
    return driver_connection if type(driver_connection).__weakrefoffset__ else connection


def _abandon(key: int, progress: Progress) -> None:
    # A forked child drops connections that its parent has open: that ends nothing.
    DB_CONNECTION.abandon(progress)
    _open.pop(key, None)
