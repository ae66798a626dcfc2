"""The database: its queries and its connections, of any engine.

Django tells of each connection that opens (``connection_created``) and lets others
stand around each query (``execute_wrappers``). Of a connection that closes it tells
nobody, so ``close`` is watched on the connection itself; what is dropped unclosed ends
with the driver's own object. ``ENGINE`` stays what it is.

https://docs.djangoproject.com/en/stable/topics/db/instrumentation/
"""

from __future__ import annotations

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
from tachikoma_metrics.conf import config
from tachikoma_metrics.interruptions import is_interruption, pass_on
from tachikoma_metrics.labels import OTHER
from tachikoma_metrics.measurement import count_query
from tachikoma_metrics.recorders import DB_CONNECTION, DB_QUERY
from tachikoma_metrics.registry import METRICS, Progress
from tachikoma_metrics.store import STORE

Facts = tuple[str, str, str]
"""Operation, table and alias."""

_LONGEST_REMEMBERED = 2000
_MIGRATIONS = "django_migrations"

_open: dict[int, tuple[weakref.finalize[Any, Any], Progress]] = {}
"""What ends each connection that counts as open, by the id of what it ends with."""

_pools: weakref.WeakSet[Any] = weakref.WeakSet()
"""The pools of this process: what they open by themselves, nobody tells of."""


def install() -> None:
    """Watch every connection from now on; opens none."""
    connection_created.connect(_watch, dispatch_uid=__name__)
    STORE.when_tended(_count_pooled)
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _watch(connection)


def _watch(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    try:
        _watch_connection(connection)
    except BaseException as error:
        if is_interruption(error):
            _watch_connection(connection)
            raise
        METRICS.fault("database", error, connection.alias)  # type: ignore[arg-type]  # See above.


def _watch_connection(connection: BaseDatabaseWrapper) -> None:
    """Watch a connection that is open; doing it twice changes nothing."""
    if config().instruments_database(connection.alias):
        if not any(isinstance(wrapper, QueryWatch) for wrapper in connection.execute_wrappers):
            # First is outermost. Last is what the block of execute_wrapper() removes in
            # which the connection was opened, whoever is last.
            connection.execute_wrappers.insert(0, QueryWatch(connection.alias))
        if not isinstance(connection.close, CloseWatch):
            connection.close = CloseWatch(connection)  # type: ignore[method-assign]
        _count_open(connection)


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
    except Exception as error:
        pass_on(error)
        # Some other kind: the query is counted, as other.
        return ""


# --- connections ------------------------------------------------------------


class CloseWatch:
    """Stand before ``close`` of a connection, and count it as closed when it is."""

    __slots__ = ("__weakref__", "_connection", "_replaced")

    def __init__(self, connection: BaseDatabaseWrapper) -> None:
        # Not the connection: it would never be dropped with its thread.
        self._connection = weakref.ref(connection)
        # Somebody else may stand there already.
        self._replaced: Callable[[], object] | None = vars(connection).get("close")

    def __call__(self) -> None:
        """Close the connection."""
        connection = self._connection()
        if connection is None:
            return
        before = connection.connection
        try:
            if self._replaced is not None:
                self._replaced()
            else:
                type(connection).close(connection)
        finally:
            # Within a transaction, one that is closed stays where it is.
            is_gone = connection.connection is not before or connection.closed_in_transaction
            if before is not None and is_gone:
                try:
                    _count_closed(connection, before)
                except BaseException:
                    _count_closed(connection, before)
                    raise


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


def _count_closed(connection: BaseDatabaseWrapper, before: Any) -> None:
    try:
        if not _is_open(before):
            key = id(_owner(connection, before))
            if key in _open:
                closed, progress = _open[key]
                _abandon(key, progress)
                closed.detach()
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


def _abandon(key: int, progress: Progress) -> None:
    # A forked child drops connections that its parent has open: that ends nothing.
    DB_CONNECTION.abandon(progress)
    _open.pop(key, None)
