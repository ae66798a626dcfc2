"""The row of database queries and connections."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import (
    Panel,
    Row,
    by_instance,
    quantile,
    rate,
    rate_above_zero,
)

DATABASE = Row(
    "Database",
    (
        Panel(
            "Queries by operation",
            "Each execute and each executemany, including failed ones.",
            rate("db_queries_total", "operation", "{{operation}}"),
            "ops",
            is_stacked=True,
        ),
        Panel(
            "Queries by table",
            "Tables of installed models; all other queries are other.",
            rate("db_queries_total", "table", "{{table}}"),
            "ops",
        ),
        Panel(
            "Rows changed",
            "Rows inserted, updated and deleted, by table, also those of bulk operations.",
            rate("db_rows_total", "operation, table", "{{operation}} {{table}}"),
            "ops",
        ),
        Panel(
            "p95 query duration by operation",
            "Until the database responded. If only writes are slow, they wait for locks.",
            (quantile(0.95, "db_query_duration_seconds", "operation", "{{operation}}"),),
            "s",
        ),
        Panel(
            "Busy connections by operation",
            "How many connections are busy on average: seconds of queries per second.",
            rate("db_query_duration_seconds_sum", "operation", "{{operation}}"),
            is_stacked=True,
        ),
        Panel(
            "Open database connections",
            "Compare it with the maximum of the database.",
            by_instance("db_connections_current"),
            is_stacked=True,
        ),
        Panel(
            "Failed queries",
            "By Django's exception class. OperationalError is the server: lost connections, "
            "deadlocks, time limits. IntegrityError may be part of the app's normal work.",
            rate_above_zero("db_errors_total", "error_type", "{{error_type}}"),
            "ops",
            is_stacked=True,
        ),
        Panel(
            "Database connections opened",
            "As many as requests: CONN_MAX_AGE is 0. Failed ones: the database is down, full, or "
            "rejects the user.",
            (
                *rate("db_connections_opened_total", legend="opened"),
                *rate("db_connection_errors_total", legend="failed"),
            ),
            "ops",
        ),
    ),
)
