"""What a thread has to know of its database connections, and of another's transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper


def is_under_way() -> bool:
    """Tell whether this thread is within a transaction of any database.

    What that has written, no other thread sees.
    """
    return any(one.in_atomic_block for one in connections.all(initialized_only=True))


@contextmanager
def connections_of_its_own(on_error: Callable[[Exception], object]) -> Iterator[None]:
    """Close, at the end of a thread of ours, the connections that it has opened.

    One that cannot be closed is handed to ``on_error`` as its exception, for it takes
    nothing from what the thread has found out.
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
        # An SQLite in memory, as tests have it, takes no notice of close().
        if connection.connection is not None:
            connection.connection.close()
