"""The execute wrapper that measures queries: how long each took, and what it did."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from tachikoma_metrics.conf import Config, config
from tachikoma_metrics.database.statements import (
    LabelValues,
    StatementLabels,
    beginning,
    epoch,
)
from tachikoma_metrics.http.current_request import count_query
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.recording.events import DB_QUERY, DB_ROWS
from tachikoma_metrics.registry import METRICS

_CHANGES = frozenset({"insert", "update", "delete"})


class MeasuringWrapper:
    """Measure each query of a connection.

    ``measure`` is called around the project's ``execute_wrappers``.
    """

    __slots__ = ("_alias", "_uncounted_rows", "labels")

    def __init__(self, alias: str, labels: StatementLabels) -> None:
        self._alias = alias
        self.labels = labels
        self._uncounted_rows: tuple[LabelValues, Any] | None = None

    def measure(
        self, execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: Any
    ) -> Any:
        """Execute the query, and record how long it took, even if it raises."""
        started_at = perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            now = perf_counter()
            try:
                group = None
                # A list is not hashable, and psycopg's objects are new ones for each query.
                if type(sql) is str:
                    labels = self.labels
                    known = labels.by_beginning.get(beginning(sql)) or labels.by_text.get(sql)
                    if known is not None:
                        group = known.group
                if group is None:
                    self._record(_text(sql, context), now - started_at, now, context)
                else:
                    group.add_one(now - started_at, now)
            except Exception as error:
                METRICS.count_error("database", error, self._alias)

    def _record(self, text: str, seconds: float, now: float, context: Any) -> None:
        """Record a query as the settings say; look up its series for the next one."""
        before = epoch()
        settings = config()
        if not settings.instruments_database(self._alias):
            return
        known = self.labels.find(text, context["connection"])
        DB_QUERY.record_valid(known.values, (1.0, seconds), None, now)
        if settings.records_more_of_queries:
            self._record_more(settings, known.values, seconds, context)
            return
        known.group = DB_QUERY.remembered(known.values)
        if epoch() is not before:
            known.group = None

    def _record_more(
        self, settings: Config, values: LabelValues, seconds: float, context: Any
    ) -> None:
        if settings.counts_queries:
            count_query(seconds)
        if settings.counts_rows:
            cursor = context["cursor"].cursor
            uncounted, self._uncounted_rows = self._uncounted_rows, None
            if uncounted is not None and uncounted[1] is not cursor:
                _count_rows(*uncounted)
            if values[0] in _CHANGES and not _count_rows(values, cursor):
                self._uncounted_rows = values, cursor


def _count_rows(values: LabelValues, cursor: Any) -> bool:
    """Count the rows that a statement changed; return whether the driver knows their number."""
    number = cursor.rowcount
    if number > 0:
        DB_ROWS.record_valid(values, (float(number),))
    # sqlite3 knows it once all rows of a RETURNING were fetched, and until then says zero.
    return bool(number or cursor.description is None)


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
