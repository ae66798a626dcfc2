"""Alerts about the database: query latency and open connections."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.alerts.alert import Alert, Runbook
from tachikoma_metrics.monitoring.alerts.expressions import bucket_bound, slow_share
from tachikoma_metrics.monitoring.objectives import Objectives


def database_alerts(
    config: Config, objectives: Objectives, native: Collection[str] = ()
) -> Iterator[Alert]:
    """Yield the alerts about the database."""
    yield _slow_queries(config, native)
    yield _many_connections(objectives)


def _slow_queries(config: Config, native: Collection[str]) -> Alert:
    bound = bucket_bound(catalogue.DB_QUERY_DURATION, 0.5, config, native)
    return Alert(
        "DjangoDatabaseSlow",
        slow_share("db_query_duration_seconds", bound),
        "10m",
        "ticket",
        "{{ $labels.job }}: {{ $value | humanizePercentage }} of the queries take longer than "
        f"{bound:g} s.",
        Runbook(
            "More than one query in twenty takes longer than half a second.",
            (
                "Check in *p95 query duration by operation* whether reads or writes are slow. If "
                "only writes are, they wait for locks: look for long transactions in the database.",
                "In *Queries by table*, look for a table that is queried far more than before.",
                "Find the slowest queries in the database (PostgreSQL: `pg_stat_statements`).",
            ),
        ),
    )


def _many_connections(objectives: Objectives) -> Alert:
    return Alert(
        "DjangoDatabaseConnectionsHigh",
        f"sum by (<service>) (db_connections_current) > {objectives.connections}",
        "10m",
        "ticket",
        "{{ $labels.job }} has {{ $value | humanize }} database connections open.",
        Runbook(
            "The service has more connections open than the limit that you set. Most databases "
            "reject connections above a maximum, and then requests fail. A service may open as "
            "many as it has processes times threads times databases.",
            (
                "Compare the number with the maximum of the database (PostgreSQL: `SHOW "
                "max_connections`), and set the limit of the alert with `--connections`.",
                "Were more processes or threads started? Or are connections never closed: with "
                "`CONN_MAX_AGE`, every short-lived thread keeps one.",
                "Use a pool: psycopg's by `OPTIONS`, or pgbouncer.",
            ),
        ),
    )
