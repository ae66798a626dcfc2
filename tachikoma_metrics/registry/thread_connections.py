"""The database connections and the transactions of the current thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


def is_in_transaction() -> bool:
    """Return whether this thread is within a transaction of any database.

    Other threads cannot read what was written in it.
    """
    return any(one.in_atomic_block for one in connections.all(initialized_only=True))


@contextmanager
def closing_connections(on_error: Callable[[Exception], object]) -> Iterator[None]:
    """Close the connections that this thread has opened, when the block ends.

    For threads that this package starts. ``on_error`` is called with the exception of a
    connection that cannot be closed; it does not invalidate what the thread has read.
    """
    try:
        yield
    finally:
        # Without settings there are none.
        with suppress(ImproperlyConfigured):
            for connection in connections.all(initialized_only=True):
                try:
                    _close(connection)
                except Exception as error:
                    on_error(error)


def _close(connection: BaseDatabaseWrapper) -> None:
    try:
        connection.close()
    finally:
        # An in-memory SQLite database, as tests use it, ignores close().
        if connection.connection is not None:
            connection.connection.close()
