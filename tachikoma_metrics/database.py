"""The database: its queries and its connections, of any engine.

Django tells of each connection that opens (``connection_created``) and lets others
stand around each query (``execute_wrappers``). Of a connection that closes it tells
nobody, so a connection's class is replaced by a subclass of it whose ``close`` is watched;
what is dropped unclosed ends with the driver's own object. ``ENGINE`` stays what it is.

https://docs.djangoproject.com/en/stable/topics/db/instrumentation/
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable
from functools import lru_cache
from time import perf_counter
from typing import Any

from django.apps import apps
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from tachikoma_metrics import statements
from tachikoma_metrics.conf import config, when_changed
from tachikoma_metrics.labels import OTHER
from tachikoma_metrics.measurement import count_query
from tachikoma_metrics.recorders import DB_CONNECTION, DB_QUERY
from tachikoma_metrics.registry import METRICS, Cell
from tachikoma_metrics.store import STORE
from tachikoma_metrics.subclasses import alike, derived, give, is_derived

Facts = tuple[str, str, str]
"""Operation, table and alias."""

_LONGEST_REMEMBERED = 2000
_MOST_CLASSES = 64
_MIGRATIONS = "django_migrations"

_open: dict[int, weakref.finalize[Any, Any]] = {}
"""What ends each connection that counts as open, by the id of what it ends with."""

_pools: weakref.WeakSet[Any] = weakref.WeakSet()
"""The pools of this process: what they open by themselves, nobody tells of."""


def install() -> None:
    """Watch every connection from now on; opens none."""
    connection_created.connect(_watch, dispatch_uid=__name__)
    STORE.when_tended(_count_pooled)
    when_changed(_watch_open)
    # There may be other models than the last time.
    _tables.cache_clear()
    _remembered_facts.cache_clear()
    _watch_open()


def _watch_open() -> None:
    """Watch the connections that this thread has open."""
    try:
        for connection in connections.all(initialized_only=True):
            if connection.connection is not None:
                _watch(connection)
    except Exception as error:
        METRICS.fault("database", error)


def _watch(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Watch a connection that was opened, unless its database is not to be measured."""
    try:
        if not config().instruments_database(connection.alias):
            return
        if not any(isinstance(wrapper, QueryWatch) for wrapper in connection.execute_wrappers):
            # First is outermost. Last is what the block of execute_wrapper() removes in
            # which the connection was opened, whoever is last.
            connection.execute_wrappers.insert(0, QueryWatch(connection.alias))
        kind: Any = type(connection)
        if not is_derived(kind):
            give(connection, _watched(kind))
        _count_open(connection)
    except Exception as error:
        METRICS.fault("database", error, connection.alias)


class QueryWatch:
    """Record each query of a connection; stands in its ``execute_wrappers``."""

    __slots__ = ("_alias",)

    def __init__(self, alias: str) -> None:
        self._alias = alias

    def __call__(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """Execute, and record how long that took, whatever comes of it."""
        started_at = perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self._record(sql, started_at, context)

    def _record(self, sql: Any, started_at: float, context: Any) -> None:
        now = perf_counter()
        seconds = now - started_at
        try:
            settings = config()
            wanted = settings.instrument_databases
            if wanted is not True and not settings.instruments_database(self._alias):
                return
            if type(sql) is str and len(sql) <= _LONGEST_REMEMBERED:
                facts = _remembered_facts(sql, self._alias)
            else:
                facts = _facts(_text(sql, context), self._alias)
            DB_QUERY.record_sound(facts, (1.0, seconds), None, now)
            if settings.counts_queries:
                count_query(seconds)
        except Exception as error:
            METRICS.fault("database", error, self._alias)


def _facts(text: str, alias: str) -> Facts:
    operation, name = statements.read(text)
    return operation, _tables().get(name.casefold(), OTHER), alias


_remembered_facts = lru_cache(2048)(_facts)


@lru_cache(1)
def _tables() -> dict[str, str]:
    """Return the tables that are told apart, by their names in small letters."""
    models = apps.get_models(include_auto_created=True)
    tables = {_MIGRATIONS, *(model._meta.db_table for model in models)}
    return {_without_schema(table).casefold(): table for table in tables}


def _without_schema(table: str) -> str:
    # For a table in another schema, people write '"schema"."table"' or 'schema"."table'.
    return table.rpartition('"."')[2].strip('"')


def _text(sql: Any, context: Any) -> str:
    """Return the text of a statement, which psycopg also takes in pieces, or as bytes."""
    if isinstance(sql, str):
        return sql
    if isinstance(sql, bytes):
        return sql.decode("utf-8", "replace")
    try:
        return str(sql.as_string(context["connection"].connection))
    except Exception:
        # Some other kind: the query is counted, as other.
        return ""


# --- connections ------------------------------------------------------------


@lru_cache(_MOST_CLASSES)
def _watched(original: Any) -> Any:
    """Return a connection's class that counts what is closed.

    ``close`` calls ``_close``, whatever other code has put in its place; an engine may have a
    ``close`` that does not.
    """

    def close(connection: Any) -> None:
        before = connection.connection
        try:
            super(watched, connection).close()
        finally:
            # Within a transaction, one that is closed stays where it is.
            if connection.connection is not before or connection.closed_in_transaction:
                _count_closed(connection, before)

    def _close(connection: Any) -> None:
        before = connection.connection
        try:
            super(watched, connection)._close()
        finally:
            _count_closed(connection, before)

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
    if id(owner) not in _open:
        begun = DB_CONNECTION.begin(perf_counter())
        closed = weakref.finalize(owner, _abandon, id(owner), begun, os.getpid())
        # When the process ends, it holds no slot, and nothing of it counts as open.
        closed.atexit = False
        _open[id(owner)] = closed


def _count_pooled() -> None:
    """Count what psycopg's pools keep open for nobody, as far as they tell."""
    for pool in list(_pools):
        # Other threads change it; to copy it is one step.
        for owner in tuple(pool._pool.copy()):
            _count_owner(owner)


def _count_closed(connection: BaseDatabaseWrapper, before: Any) -> None:
    try:
        if before is not None and not _is_open(before):
            closed = _open.get(id(_owner(connection, before)))
            if closed is not None:
                closed()
    except Exception as error:
        METRICS.fault("database", error, connection.alias)


def _is_open(driver_connection: Any) -> bool:
    """Tell whether a connection that was given back is open, as those of a pool are."""
    # psycopg2 says 0. Who does not know has no pool either.
    return getattr(driver_connection, "closed", True) in (False, 0)


def _owner(connection: BaseDatabaseWrapper, driver_connection: Any) -> Any:
    """Return what the connection ends with: the driver's, if that can be watched."""
    # sqlite3's cannot.
    return driver_connection if type(driver_connection).__weakrefoffset__ else connection


def _abandon(key: int, begun: Cell | None, pid: int) -> None:
    _open.pop(key, None)
    # A forked child drops connections that its parent has open.
    if pid == os.getpid():
        DB_CONNECTION.abandon(begun)
