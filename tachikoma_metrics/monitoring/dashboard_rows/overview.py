"""The row with the state of the service at a glance."""

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
            "Requests per second, wherever the response came from.",
            rate("http_requests_total"),
            "reqps",
            width=SMALL,
            kind="stat",
        ),
        Panel(
            "Failed requests",
            "Ratio of requests with a status of 500 or above.",
            (Query(f"({FAILED_SHARE}) or 0 * sum(rate(http_requests_total[$__rate_interval]))"),),
            "percentunit",
            width=SMALL,
            kind="stat",
            red_above=0.01,
        ),
        Panel(
            "95th percentile",
            "95 % of the requests were complete, to the last byte, within this time.",
            (quantile(0.95, "http_request_duration_seconds"),),
            "s",
            width=SMALL,
            kind="stat",
        ),
        Panel(
            "In flight",
            "Requests in progress, of all processes.",
            (Query("sum(http_requests_in_flight)"),),
            width=SMALL,
            kind="stat",
        ),
        Panel(
            "Processes",
            "Live processes that share the metrics, and the targets that Prometheus can scrape.",
            (
                Query("sum(tachikoma_metrics_processes)", "processes"),
                Query("sum(up)", "targets"),
            ),
            width=SMALL,
            kind="stat",
        ),
        Panel(
            "Faults while measuring",
            "Instrumentation errors of the last hour: metrics may be incomplete. See the log.",
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
