"""The row that tells at a glance how the service does."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import SMALL, Panel, Query, Row, quantile, rate

FAILED_SHARE = (
    'sum(rate(http_requests_total{status=~"5.."}[$__rate_interval])) '
    "/ sum(rate(http_requests_total[$__rate_interval]))"
)

OVERVIEW = Row(
    "Overview",
    (
        Panel(
            "Requests",
            "Requests answered per second, by whatever answered them.",
            rate("http_requests_total"),
            "reqps",
            width=SMALL,
            kind="stat",
        ),
        Panel(
            "Failed requests",
            "Share of the requests that were answered with a status of 500 or above.",
            (Query(f"({FAILED_SHARE}) or 0 * sum(rate(http_requests_total[$__rate_interval]))"),),
            "percentunit",
            width=SMALL,
            kind="stat",
            red_above=0.01,
        ),
        Panel(
            "95th percentile",
            "Ninety-five of a hundred requests were answered, to the last byte, within this time.",
            (quantile(0.95, "http_request_duration_seconds"),),
            "s",
            width=SMALL,
            kind="stat",
        ),
        Panel(
            "In flight",
            "Requests being answered now, by all processes.",
            (Query("sum(http_requests_in_flight)"),),
            width=SMALL,
            kind="stat",
        ),
        Panel(
            "Processes",
            "Living processes whose values are shown, and the targets that answered Prometheus.",
            (
                Query("sum(tachikoma_metrics_processes)", "processes"),
                Query("sum(up)", "targets"),
            ),
            width=SMALL,
            kind="stat",
        ),
        Panel(
            "Faults while measuring",
            "Faults of the last hour: what was measured may be incomplete. The log names each.",
            (
                Query(
                    "sum(increase(tachikoma_metrics_errors_total[1h])) "
                    "or 0 * sum(tachikoma_metrics_processes)"
                ),
            ),
            width=SMALL,
            kind="stat",
            red_above=1,
        ),
    ),
    is_expanded=True,
)
