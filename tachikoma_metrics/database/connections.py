"""Instrument the connections of every database engine.

Django sends a signal when a connection opens (``connection_created``) and calls
``execute_wrappers`` around each query. It sends no signal when a connection closes, so the
class of the connection is replaced by a subclass that overrides ``close``; a connection that is
garbage-collected without being closed ends with the driver's object. ``ENGINE`` is unchanged.
It sends no signal either when a connection cannot be opened, so the class is replaced where Django
makes the object, before it connects.

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
from tachikoma_metrics.database.errors import (
    count_failed_connect,
    error_wrapper_of,
    initialize_errors,
)
from tachikoma_metrics.database.execute_wrappers import MeasuredWrappers
from tachikoma_metrics.database.pools import follow
from tachikoma_metrics.database.queries import MeasuringWrapper
from tachikoma_metrics.database.statements import labels_of
from tachikoma_metrics.interruptions import is_interruption
from tachikoma_metrics.recording.events import DB_CONNECTION, DB_CONNECTION_OPENED
from tachikoma_metrics.recording.subclasses import (
    imitating,
    is_measured_class,
    measured_subclass,
    set_class,
)
from tachikoma_metrics.registry import METRICS, Progress
from tachikoma_metrics.store import STORE

_MAX_CLASSES = 64

_ONE = (1.0,)

_open: dict[int, tuple[weakref.finalize[Any, Any], Progress, Progress]] = {}
"""The finalizer, the progress and the opening of each open connection, by the id of its owner."""

_pools: weakref.WeakKeyDictionary[Any, str] = weakref.WeakKeyDictionary()
"""The database of each of psycopg's pools in this process, which open connections themselves."""


def install() -> None:
    """Instrument every connection that is opened from now on; opens none."""
    connections.create_connection = _create_connection  # type: ignore[method-assign]
    connection_created.connect(_on_created, dispatch_uid=__name__)
    STORE.on_maintenance(_count_pooled)
    on_change(_instrument_open)
    _instrument_open()


def _create_connection(alias: str) -> Any:
    # Looked up on each call, since other instrumentation may replace it.
    connection = type(connections).create_connection(connections, alias)
    try:
        if config().instruments_database(alias):
            _measure_class(connection)
    except Exception as error:
        METRICS.count_error("database", error, alias)
    return connection


def _instrument_open() -> None:
    """Instrument the open connections of this thread."""
    try:
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None:
                _instrument(connection)
    except Exception as error:
        METRICS.count_error("database", error)


def _on_created(connection: BaseDatabaseWrapper, **_: Any) -> None:
    _instrument(connection)
    initialize_errors(connection)


def _instrument(connection: BaseDatabaseWrapper) -> None:
    """Instrument an open connection, unless the settings exclude its database."""
    try:
        _instrument_connection(connection)
    except BaseException as error:
        if is_interruption(error):
            _instrument_connection(connection)
            raise
        METRICS.count_error("database", error, connection.alias)  # type: ignore[arg-type]  # No interruption, so an Exception.


def _instrument_connection(connection: BaseDatabaseWrapper) -> None:
    """Instrument an open connection; idempotent."""
    if config().instruments_database(connection.alias):
        _measure_queries(connection)
        _measure_class(connection)
        _count_open(connection)


def _measure_class(connection: BaseDatabaseWrapper) -> None:
    kind: Any = type(connection)
    if not is_measured_class(kind):
        set_class(connection, _measured_class(kind))
        # The class's own is not used while there is one from before.
        vars(connection).pop("wrap_database_errors", None)


def _measure_queries(connection: BaseDatabaseWrapper) -> None:
    wrappers = connection.execute_wrappers
    if isinstance(wrappers, MeasuredWrappers):
        # The database of a connection may have changed, as it does in tests.
        wrappers.measuring.labels = labels_of(connection)
    else:
        measuring = MeasuringWrapper(connection.alias, labels_of(connection))
        connection.execute_wrappers = MeasuredWrappers(wrappers, measuring)


@lru_cache(_MAX_CLASSES)
def _measured_class(original: Any) -> Any:
    """Return the subclass of a connection's class that records failures, and when one closes.

    Both methods that close are overridden: ``close`` calls ``_close`` even if other code replaced
    ``close``, while an engine may override ``close`` without calling ``_close``.
    """

    def close(connection: Any) -> None:
        before = connection.connection
        owner = _owner_before(connection, before)
        try:
            super(measured, connection).close()
        finally:
            # Within a transaction, Django keeps the closed connection until the block ends.
            if connection.connection is not before or connection.closed_in_transaction:
                try:
                    _count_closed(connection, owner)
                except BaseException:
                    _count_closed(connection, owner)
                    raise

    def _close(connection: Any) -> None:
        owner = _owner_before(connection, connection.connection)
        try:
            super(measured, connection)._close()
        finally:
            _count_closed(connection, owner)

    def get_new_connection(connection: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return super(measured, connection).get_new_connection(*args, **kwargs)
        except Exception:
            count_failed_connect(connection)
            raise

    members = {
        "get_new_connection": imitating(get_new_connection, original.get_new_connection),
        "wrap_database_errors": error_wrapper_of(original),
        "close": imitating(close, original.close),
        "_close": imitating(_close, original._close),
    }
    measured: Any = measured_subclass(original, members, _measured_class)
    return measured


def _count_open(connection: BaseDatabaseWrapper) -> None:
    _count_owner(_owner(connection, connection.connection), connection.alias)
    pool = getattr(connection, "pool", None)
    if hasattr(pool, "_pool"):
        _pools[pool] = connection.alias
        follow(connection.alias, pool)
        _count_pooled()


def _count_owner(owner: Any, alias: str) -> None:
    key = id(owner)
    if key not in _open:
        progress = Progress()
        closed = weakref.finalize(owner, _abandon, key, progress)
        # The store removes the values of a process that exits.
        closed.atexit = False
        _open[key] = closed, progress, Progress()
    _, progress, opening = _open[key]
    if not opening.is_over:
        DB_CONNECTION_OPENED.record_valid((alias,), _ONE, opening)
    if progress.cell is None:
        DB_CONNECTION.begin(progress, perf_counter())


def _count_pooled() -> None:
    """Count the idle connections in psycopg's pools."""
    for pool, alias in list(_pools.items()):
        # Other threads change the deque; copying it is atomic.
        for owner in tuple(pool._pool.copy()):
            _count_owner(owner, alias)


def _owner_before(connection: BaseDatabaseWrapper, driver_connection: Any) -> Any:
    """Return the owner of the connection that is about to be closed; None if there is none.

    The owner of a pooled connection is only known until it is returned to the pool.
    """
    try:
        return None if driver_connection is None else _owner(connection, driver_connection)
    except Exception as error:
        METRICS.count_error("database", error, connection.alias)
        return None


def _count_closed(connection: BaseDatabaseWrapper, owner: Any) -> None:
    try:
        key = id(owner)
        if key in _open and not _is_open(owner):
            closed, progress, _ = _open[key]
            _abandon(key, progress)
            closed.detach()
    except Exception as error:
        METRICS.count_error("database", error, connection.alias)


def _is_open(owner: Any) -> bool:
    """Return whether a driver's connection is still open, as one in a pool is."""
    # `closed` is a number in psycopg2; drivers of MySQL have `open` instead. Drivers with
    # neither have no pool.
    closed = getattr(owner, "closed", None)
    return bool(getattr(owner, "open", False)) if closed is None else closed in (False, 0)


def _owner(connection: BaseDatabaseWrapper, driver_connection: Any) -> Any:
    """Return the object whose lifetime is the connection's: the driver's, if weakly referable."""
    # SQLAlchemy's pools return a proxy of the driver's connection, which drops its reference
    # when the connection returns to the pool.
    owner = getattr(driver_connection, "dbapi_connection", None) or driver_connection
    # sqlite3's connections are not weakly referable.
    return owner if type(owner).__weakrefoffset__ else connection


def _abandon(key: int, progress: Progress) -> None:
    # When a forked child drops its copy of a connection, the parent's stays open.
    DB_CONNECTION.abandon(progress)
    _open.pop(key, None)
