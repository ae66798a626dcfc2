"""The row of requests to upstream APIs."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import Panel, Query, Row, by_instance, quantile, rate

BACKENDS = Row(
    "Upstream APIs",
    (
        Panel(
            "Upstream requests by endpoint",
            "Each HTTP attempt, retries included.",
            rate("backend_requests_total", "backend, endpoint", "{{backend}} {{endpoint}}"),
            "reqps",
            is_stacked=True,
        ),
        Panel(
            "Upstream errors by type",
            "rate_limit and overloaded are the API's; timeout and connection may be the network's.",
            (
                Query(
                    "sum by (backend, error_type) "
                    "(rate(backend_errors_total[$__rate_interval])) > 0",
                    "{{backend}} {{error_type}}",
                ),
            ),
            "reqps",
            is_stacked=True,
        ),
        Panel(
            "Upstream error ratio",
            "Ratio of requests to an upstream API that failed.",
            (
                Query(
                    "sum by (backend) (rate(backend_errors_total[$__rate_interval])) "
                    "/ sum by (backend) (rate(backend_requests_total[$__rate_interval]))",
                    "{{backend}}",
                ),
            ),
            "percentunit",
            max=1,
        ),
        Panel(
            "p95 duration by provider",
            "To the last byte of the response.",
            (quantile(0.95, "backend_request_duration_seconds", "backend", "{{backend}}"),),
            "s",
        ),
        Panel(
            "Upstream requests in progress",
            "Requests to upstream APIs in progress.",
            by_instance("backend_requests_in_progress"),
            is_stacked=True,
        ),
    ),
)
