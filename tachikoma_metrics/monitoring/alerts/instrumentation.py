"""Alerts about the instrumentation itself: scrapes, errors and cardinality."""

from __future__ import annotations

from collections.abc import Iterator

from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.alerts.alert import Alert, Runbook
from tachikoma_metrics.monitoring.alerts.expressions import increased


def instrumentation_alerts(config: Config) -> Iterator[Alert]:
    """Yield the alerts about the instrumentation itself."""
    yield from (_UNREACHABLE, _ERRORS, _overflow(config), _SLOW_SCRAPE)


_UNREACHABLE = Alert(
    "DjangoMetricsUnreachable",
    "avg by (job) (up) < 0.5\nand on (job) max_over_time(tachikoma_metrics_info[3d])",
    "5m",
    "page",
    "{{ $labels.job }}: Prometheus cannot scrape more than half of the targets.",
    Runbook(
        "Prometheus cannot scrape more than half of the targets of a job that had a metrics "
        "endpoint within the last three days. Either the service is down, or Prometheus cannot "
        "reach the endpoint or has no access; then the other alerts have little or no data.",
        (
            "Open *Status, Targets* of Prometheus: it shows the error.",
            "`connection refused`: the service is down, or listens on another address.",
            "`403`: the client address is not in `ALLOWED_NETWORKS`. `401`: the token is "
            "missing or wrong, see `TOKENS`.",
            "`manage.py metrics_doctor --url ...`, run on the host of Prometheus, diagnoses it.",
        ),
    ),
)

_ERRORS = Alert(
    "DjangoMetricsFaults",
    increased("tachikoma_metrics_errors_total", "source"),
    "1m",
    "ticket",
    "{{ $labels.job }}: instrumentation errors in {{ $labels.source }}.",
    Runbook(
        "Instrumentation or exposition raised errors within the last hour. The service is not "
        "affected, but metrics may be incomplete. The label `source` names the component.",
        (
            "Look for `Instrumentation error in ...` in the log of `tachikoma_metrics`: the first "
            "of each kind is there.",
            "`settings`: run `manage.py check`. `store`: run `manage.py metrics_doctor`. "
            "`business`, `cache`: the database or the cache does not respond. Anything else: a "
            "custom collector or callable, or a bug in tachikoma_metrics to report.",
        ),
    ),
)


def _overflow(config: Config) -> Alert:
    overflowed = increased("tachikoma_metrics_overflow_total", "family")
    full = "max by (<service>, family) (tachikoma_metrics_cardinality)"
    return Alert(
        "DjangoMetricsOverflow",
        f"{overflowed}\nor {full} >= {config.cardinality_limit}",
        "1m",
        "ticket",
        "{{ $labels.job }}: {{ $labels.family }} is at its cardinality limit; new label sets are "
        "aggregated into overflow.",
        Runbook(
            "The metric has as many label sets as `CARDINALITY_LIMIT` allows, in one process or "
            "in all processes together. New label sets are aggregated: labels that may have any "
            "value, such as `path`, are `overflow`. Labels with a fixed set of values, such as "
            "`method` and `status`, keep theirs, so that totals and error rates stay right.",
            (
                "Check the values of its labels on the metrics endpoint: usually one of them is "
                "an id or a name that a client chooses.",
                "Drop that label with `LABELS`, or reduce its values.",
                "If all label sets are wanted, raise `CARDINALITY_LIMIT`. *Label sets by metric* "
                "shows how close other metrics are.",
            ),
        ),
    )


_SLOW_SCRAPE = Alert(
    "DjangoMetricsSlow",
    "max by (<service>) (tachikoma_metrics_scrape_duration_seconds) > 2",
    "15m",
    "ticket",
    "{{ $labels.job }}: a scrape takes {{ $value | humanizeDuration }}.",
    Runbook(
        "A scrape takes seconds. Prometheus aborts after `scrape_timeout`, ten seconds by default.",
        (
            "A custom collector, or one of a library, may wait for a slow dependency. The log "
            "names collectors that time out.",
            "Otherwise there are very many time series: check *Label sets by metric*.",
        ),
    ),
)
