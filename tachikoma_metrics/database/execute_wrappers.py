"""The list of a connection's ``execute_wrappers``, with one more that measures.

https://docs.djangoproject.com/en/stable/topics/db/instrumentation/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper


class MeasuredWrappers(list[Any]):
    """The wrappers of a connection's queries, and around all of them the one that measures.

    Django calls them from the last to the first. The one that measures, ``watch``, comes after
    the first and is no item: code that looks at the list, clears it or takes from it finds its
    own alone.
    """

    __slots__ = ("_around", "watch")

    def __init__(self, wrappers: Iterable[Any], watch: Any) -> None:
        super().__init__(wrappers)
        self.watch = watch
        self._around: tuple[Any, ...] = (watch,)

    def __reversed__(self) -> Iterator[Any]:
        # As a rule the project has none, and each query asks.
        return chain(self[::-1], self._around) if self else iter(self._around)

    @contextmanager
    def unmeasured(self) -> Iterator[None]:
        """Measure no query while the block lasts."""
        around = self._around
        try:
            self._around = ()
            yield
        finally:
            self._around = around


@contextmanager
def unmeasured(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """Measure no query of a connection, which is opened, while the block lasts.

    Raises whatever the database raises when a connection cannot be opened.
    """
    # Opening it is what makes it a measured one.
    connection.ensure_connection()
    wrappers = connection.execute_wrappers
    if isinstance(wrappers, MeasuredWrappers):
        with wrappers.unmeasured():
            yield
    else:
        yield
