"""The execute wrapper that measures queries: how long each took, and what it did."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from tachikoma_metrics.conf import config
from tachikoma_metrics.database.statements import StatementLabels
from tachikoma_metrics.http.current_request import count_query
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.recording.recorders import DB_QUERY
from tachikoma_metrics.registry import METRICS


class MeasuringWrapper:
    """Measure each query of a connection; called around the project's ``execute_wrappers``."""

    __slots__ = ("_alias", "labels")

    def __init__(self, alias: str, labels: StatementLabels) -> None:
        self._alias = alias
        self.labels = labels

    def __call__(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """Execute the query, and record how long it took, even if it raises."""
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
            # A list is not hashable, and psycopg's objects are new ones for each query.
            values = self.labels.cached.get(sql) if type(sql) is str else None
            if values is None:
                values = self.labels.parse(_text(sql, context), context["connection"])
            DB_QUERY.record_valid(values, (1.0, seconds), None, now)
            if settings.counts_queries:
                count_query(seconds)
        except Exception as error:
            METRICS.count_error("database", error, self._alias)


def _text(sql: Any, context: Any) -> str:
    """Return the text of a statement, which psycopg also accepts as bytes or ``Composable``."""
    if isinstance(sql, str):
        return sql
    if isinstance(sql, bytes):
        return sql.decode("utf-8", "replace")
    try:
        return str(sql.as_string(context["connection"].connection))
    except Exception as error:
        pass_on(error)
        # Another type: the query is counted, as other.
        return ""
