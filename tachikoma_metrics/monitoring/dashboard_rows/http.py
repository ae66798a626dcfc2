"""The row of HTTP requests."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import (
    STATUS_COLORS,
    Panel,
    Query,
    Row,
    quantiles,
    rate,
)

_ALL = "sum(rate(http_requests_total[$__rate_interval]))"


def _ratio(statuses: str) -> str:
    some = f'sum(rate(http_requests_total{{status=~"{statuses}"}}[$__rate_interval]))'
    return f"({some} or 0 * {_ALL}) / {_ALL}"


HTTP = Row(
    "HTTP",
    (
        Panel(
            "Requests by status",
            "499 is a client that disconnected before its response was complete.",
            rate("http_requests_total", "status", "{{status}}"),
            "reqps",
            is_stacked=True,
            colors=STATUS_COLORS,
        ),
        Panel(
            "Latency",
            "To the last byte of the response, including streamed ones.",
            quantiles("http_request_duration_seconds"),
            "s",
        ),
        Panel(
            "Error ratios",
            "Ratio of requests with a status of 500 or above (5xx), and of those that the client "
            "got wrong or abandoned (4xx).",
            (Query(_ratio("5.."), "5xx"), Query(_ratio("4.."), "4xx")),
            "percentunit",
            max=1,
            colors=STATUS_COLORS,
        ),
        Panel(
            "Latency heatmap",
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
            "Exceptions",
            "Requests that ended in an exception, by its class. A new class after a deployment is "
            "a bug of it.",
            rate("http_exceptions_total", "exception", "{{exception}}"),
            "reqps",
            is_stacked=True,
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
    ),
    is_expanded=True,
)
