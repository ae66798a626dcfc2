"""A list for a connection's ``execute_wrappers`` that also calls the wrapper that measures.

https://docs.djangoproject.com/en/stable/topics/db/instrumentation/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


class MeasuredWrappers(list[Any]):
    """The project's wrappers of a connection's queries, and the outermost one, which measures.

    Django iterates over the list in reverse. ``measuring``, the wrapper that measures, comes
    last in that iteration and is no item of the list: code that inspects or clears the list
    finds the project's wrappers only.
    """

    __slots__ = ("_outermost", "measuring")

    def __init__(self, wrappers: Iterable[Any], measuring: Any) -> None:
        super().__init__(wrappers)
        self.measuring = measuring
        # A bound method is called more directly than an object.
        self._outermost: tuple[Any, ...] = (measuring.measure,)

    def __reversed__(self) -> Iterator[Any]:
        # This is called for each query, and most projects have no wrapper.
        return chain(self[::-1], self._outermost) if self else iter(self._outermost)

    @contextmanager
    def unmeasured(self) -> Iterator[None]:
        """Measure no query within the block."""
        outermost = self._outermost
        try:
            self._outermost = ()
            yield
        finally:
            self._outermost = outermost


@contextmanager
def unmeasured(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Open a connection, and measure none of its queries within the block.

    Raises the database's error if the connection cannot be opened.
    """
    # Opening a connection replaces its list of wrappers.
    connection.ensure_connection()
    wrappers = connection.execute_wrappers
    if isinstance(wrappers, MeasuredWrappers):
        with wrappers.unmeasured():
            yield
    else:
        yield
