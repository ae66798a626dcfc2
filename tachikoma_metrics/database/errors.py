"""Errors of databases, counted where Django turns those of the driver into its own.

All queries, fetches and commits pass through ``wrap_database_errors`` of their connection, whose
``__exit__`` has nothing to do unless there is an error. An error that the app has no part in is
not counted: that of a rollback after a failed query, or of closing a lost connection.
"""

from __future__ import annotations

import weakref
from inspect import getattr_static
from types import FrameType, TracebackType
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import DatabaseErrorWrapper as _DatabaseErrorWrapper
from django.db.utils import Error
from django.utils.functional import cached_property

from tachikoma_metrics.catalogue.labels import OTHER
from tachikoma_metrics.conf import config
from tachikoma_metrics.database.statements import labels_of
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.recording.events import DB_CONNECTION_ERROR, DB_ERROR
from tachikoma_metrics.registry import METRICS

_ONE = (1.0,)

_CONNECT = "ensure_connection"
_NOT_COUNTED = frozenset({_CONNECT, "_rollback", "_close"})
"""The methods of a connection whose errors are not counted here."""
_TRANSACTION = frozenset({"_commit", "_set_autocommit"})


class DatabaseErrorWrapper(_DatabaseErrorWrapper):
    """Count each error that Django's wrapper raises, or that passes through it."""

    _counted: Any = None
    """A weak reference to the last error that was counted: wrappers may be nested."""

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise Django's error for one of the driver's."""
        if exc_type is None:
            return
        try:
            super().__exit__(exc_type, exc_value, traceback)
        except Error as error:
            self._count(error, traceback)
            raise
        # The driver of MySQL has a cursor of Django's, which raises Django's errors itself.
        if isinstance(exc_value, Error):
            self._count(exc_value, traceback)

    def _count(self, error: Error, traceback: TracebackType | None) -> None:
        connection: BaseDatabaseWrapper = self.wrapper  # type: ignore[attr-defined]  # Django's.
        try:
            frame = None if traceback is None else traceback.tb_frame
            if (self._counted is not None and self._counted() is error) or _is_left_out(frame):
                return
            self._counted = weakref.ref(error)
            if config().instruments_database(connection.alias):
                facts = (connection.alias, _name_of(error), _operation(frame, connection))
                DB_ERROR.record_valid(facts, _ONE)
        except Exception as failure:
            METRICS.count_error("database", failure, connection.alias)


def error_wrapper_of(original: Any) -> Any:
    """Return ``wrap_database_errors`` for a subclass of a connection's class."""
    inherited: Any = getattr_static(original, "wrap_database_errors")

    def wrap_database_errors(connection: BaseDatabaseWrapper) -> Any:
        wrapper = inherited.__get__(connection, original)
        is_known = type(wrapper) is _DatabaseErrorWrapper
        return DatabaseErrorWrapper(connection) if is_known else wrapper

    return cached_property(wrap_database_errors)


def initialize_errors(connection: BaseDatabaseWrapper) -> None:
    """Expose that no errors of a database have happened, once for each alias. Never raises."""
    try:
        if config().instruments_database(connection.alias):
            DB_ERROR.initialize((connection.alias,))
            DB_CONNECTION_ERROR.initialize((connection.alias,))
    except Exception as error:
        METRICS.count_error("database", error, connection.alias)


def count_failed_connect(connection: BaseDatabaseWrapper) -> None:
    """Count that a connection could not be opened."""
    try:
        if config().instruments_database(connection.alias):
            DB_CONNECTION_ERROR.record_valid((connection.alias,), _ONE)
    except Exception as error:
        METRICS.count_error("database", error, connection.alias)


def _is_left_out(frame: FrameType | None) -> bool:
    return frame is not None and frame.f_code.co_name in _NOT_COUNTED


def _name_of(error: Error) -> str:
    """Return the name of the error's class, or of the nearest base that is Django's."""
    module = Error.__module__
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__module__ == module)


def _operation(frame: FrameType | None, connection: BaseDatabaseWrapper) -> str:
    """Return what failed, by the method of Django's in which it did."""
    if frame is None:
        return OTHER
    if frame.f_code.co_name in _TRANSACTION:
        return "transaction"
    # The text of the statement is an argument of that method, and known nowhere else.
    sql = frame.f_locals.get("sql")
    if not isinstance(sql, str):
        return OTHER
    try:
        return labels_of(connection).find(sql, connection).values[0]
    except Exception as error:
        pass_on(error)
        return OTHER
