"""Alerts about business metrics: their age, and errors of their refresh."""

from __future__ import annotations

from collections.abc import Iterator

from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.alerts.alert import Alert, Runbook


def business_alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts about business metrics."""
    yield _stale(config)
    yield from (_MISSING, _UNREADABLE, _INCOMPLETE)


def _stale(config: Config) -> Alert:
    # Between the age of metrics that are on time, and the age at which they are removed.
    limit = (config.business_interval + config.business_lifetime) / 2
    return Alert(
        "DjangoBusinessCountsStale",
        f"time() - max by (<service>) (tachikoma_metrics_business_timestamp_seconds) > {limit:g}",
        "1m",
        "ticket",
        "{{ $labels.job }}: the business metrics are {{ $value | humanizeDuration }} old.",
        Runbook(
            "The business metrics have not been refreshed for far longer than "
            "`BUSINESS_INTERVAL`. The alert fires half of the way to `BUSINESS_MAX_AGE`, at which "
            "they are removed rather than reported stale.",
            (
                "Is the refresh running? It needs Celery's beat and a worker, or `manage.py "
                "refresh_business_metrics --every ...`.",
                "Run `manage.py refresh_business_metrics` manually: it prints errors, and how "
                "long the refresh takes.",
                "If the refresh is meant to run less often, set `BUSINESS_INTERVAL` accordingly.",
                "A refresh that takes longer than `BUSINESS_INTERVAL` is too expensive for the "
                "database: filter the rows, or refresh less often.",
            ),
        ),
    )


_MISSING = Alert(
    "DjangoBusinessCountsMissing",
    "max by (<service>) (tachikoma_metrics_business_up)\n"
    "unless max by (<service>) (tachikoma_metrics_business_timestamp_seconds)",
    "10m",
    "ticket",
    "{{ $labels.job }} has no business metrics.",
    Runbook(
        "`BUSINESS_METRICS` declares metrics, and there are none: they were never refreshed, or "
        "`BUSINESS_STORE` lost them, as a cache may.",
        (
            "Run `manage.py refresh_business_metrics`: it prints errors.",
            "Check that Celery's beat and a worker, or `manage.py refresh_business_metrics "
            "--every ...`, were started.",
        ),
    ),
)

_UNREADABLE = Alert(
    "DjangoBusinessCountsUnreadable",
    "max by (<service>) (tachikoma_metrics_business_up) == 0",
    "10m",
    "ticket",
    "{{ $labels.job }} cannot read its business metrics, and exposes its last copy.",
    Runbook(
        "No instance can read the snapshot of the business metrics from `BUSINESS_STORE`. Each "
        "process exposes its last copy.",
        (
            "Is the database, or the cache, available? If not, requests fail, too.",
            "Was `manage.py migrate` run? The log has the error once per process.",
        ),
    ),
)

_INCOMPLETE = Alert(
    "DjangoBusinessCountsIncomplete",
    "max by (<service>) (tachikoma_metrics_business_refresh_errors) > 0",
    "15m",
    "ticket",
    "{{ $labels.job }}: {{ $value }} business metrics cannot be refreshed.",
    Runbook(
        "A refresh skips the metrics that it cannot count. They keep their last values until "
        "these are too old.",
        (
            "`manage.py refresh_business_metrics --dry-run` prints their names, and the error.",
            "`manage.py check` reports declarations that are invalid.",
        ),
    ),
)
