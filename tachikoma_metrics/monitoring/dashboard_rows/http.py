"""The row of HTTP requests."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import (
    Panel,
    Query,
    Row,
    by_instance,
    mean,
    quantile,
    quantiles,
    rate,
)

HTTP = Row(
    "HTTP",
    (
        Panel(
            "Requests by status",
            "499 is a client that disconnected before its response was complete.",
            rate("http_requests_total", "status", "{{status}}"),
            "reqps",
            is_stacked=True,
        ),
        Panel(
            "Duration",
            "To the last byte of the response, including streamed ones.",
            quantiles("http_request_duration_seconds"),
            "s",
        ),
        Panel(
            "Requests by route",
            "Which routes are requested, and which grow.",
            rate("http_requests_total", "method, path", "{{method}} {{path}}"),
            "reqps",
        ),
        Panel(
            "95th percentile by route",
            "Which routes are slow. A route with few requests jumps.",
            (
                quantile(
                    0.95,
                    "http_request_duration_seconds",
                    "method, path",
                    "{{method}} {{path}}",
                ),
            ),
            "s",
        ),
        Panel(
            "Failed requests by route",
            "Ratio of a route's requests with a status of 500 or above.",
            (
                Query(
                    '(sum by (path) (rate(http_requests_total{status=~"5.."}[$__rate_interval])) '
                    "> 0) / sum by (path) (rate(http_requests_total[$__rate_interval]))",
                    "{{path}}",
                ),
            ),
            "percentunit",
            max=1,
        ),
        Panel(
            "Exceptions",
            "Requests that ended in an exception, by its class. A new class after a deployment is "
            "a bug of it.",
            rate("http_exceptions_total", "exception", "{{exception}}"),
            "reqps",
            is_stacked=True,
        ),
        Panel(
            "Time spent by route",
            "Seconds of handling requests per second: which routes keep the workers busy.",
            rate("http_request_duration_seconds_sum", "path", "{{path}}"),
            "s",
            is_stacked=True,
        ),
        Panel(
            "How long requests take",
            "Requests by duration. Two bands are two kinds of request.",
            (
                Query(
                    "sum by (le) "
                    "(increase(http_request_duration_seconds_bucket[$__rate_interval]))",
                    "{{le}}",
                ),
            ),
            "s",
            kind="heatmap",
        ),
        Panel(
            "In flight by instance",
            "A line that only rises is requests that never finish.",
            by_instance("http_requests_in_flight"),
        ),
        Panel(
            "Lost requests",
            "Requests that were in progress when their process died, such as when the system "
            "ran out of memory.",
            (
                Query(
                    "sum by (instance) (increase(http_requests_lost_total[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
        ),
        Panel(
            "Size of answers",
            "Mean bytes in the body of a response.",
            (mean("http_response_size_bytes", "path", "{{path}}"),),
            "bytes",
        ),
        Panel(
            "Size of requests",
            "Mean bytes in the body of a request that has a body.",
            (mean("http_request_size_bytes", "path", "{{path}}"),),
            "bytes",
        ),
        Panel(
            "Responses by template",
            "Responses that a view returned as TemplateResponse, as generic views do.",
            rate("http_responses_by_template_total", "template", "{{template}}"),
            "reqps",
        ),
        Panel(
            "Time to first byte",
            "Until the response began; far below the duration for streamed responses.",
            quantiles("http_response_time_to_first_byte_seconds"),
            "s",
        ),
        Panel(
            "Time in the queue",
            "Between the proxy and the middleware. It grows when all workers are busy.",
            quantiles("http_request_queue_seconds"),
            "s",
        ),
        Panel(
            "Queries of a request",
            "p95 by route. Dozens for one request are an N+1 problem.",
            (quantile(0.95, "http_request_db_queries", "path", "{{path}}"),),
        ),
        Panel(
            "Time of a request in the database",
            "Mean seconds by route; compare it with the duration of the whole request.",
            (mean("http_request_db_seconds", "path", "{{path}}"),),
            "s",
        ),
    ),
    is_expanded=True,
)
