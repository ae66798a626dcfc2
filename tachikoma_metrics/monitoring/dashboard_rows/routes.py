"""The row of routes: a table of all their numbers, and graphs of the ten highest of each."""

from __future__ import annotations

from tachikoma_metrics.monitoring.panels import (
    WIDE,
    Panel,
    Query,
    Row,
    Steps,
    mean,
    quantile,
    rate,
    top,
)

_MOST_ROUTES = 50
_WINDOW = "$__range"
_ROUTE = "method, path"
_LEGEND = "{{method}} {{path}}"
_DURATION = "http_request_duration_seconds"


def _by_route(series: str) -> str:
    return f"sum by ({_ROUTE}) (rate({series}[{_WINDOW}]))"


_ALL = _by_route("http_requests_total")
_FAILED = _by_route('http_requests_total{status=~"5.."}')
_TIME = _by_route(f"{_DURATION}_sum")


def _column(title: str, expression: str, unit: str, steps: Steps = ()) -> Query:
    """Return a column of the table, of the routes that take the most time."""
    shown = f"({expression})\nand on ({_ROUTE}) topk({_MOST_ROUTES}, {_TIME})"
    return Query(shown, title, is_instant=True, unit=unit, steps=steps)


def _quantile(share: float) -> str:
    return quantile(share, _DURATION, _ROUTE, window=_WINDOW).expression


def _table(failing: Steps, slow: Steps) -> Panel:
    share = f"{_TIME}\n/ on () group_left () sum(rate({_DURATION}_sum[{_WINDOW}]))"
    return Panel(
        "Routes",
        f"The {_MOST_ROUTES} routes that take the most time, in the time range of the dashboard. "
        "Share of time: the route's part of the time of all selected requests.",
        (
            _column("Rate", _ALL, "reqps"),
            _column("Error ratio", f"({_FAILED} or 0 * {_ALL}) / {_ALL}", "percentunit", failing),
            _column("p50 latency", _quantile(0.5), "s"),
            _column("p95 latency", _quantile(0.95), "s", slow),
            _column("Share of time", share, "percentunit"),
        ),
        width=WIDE,
        kind="table",
        sorted_by="Share of time",
    )


_GRAPHS = (
    Panel(
        "Requests by route",
        "Which routes are requested, and which grow; the ten with the most requests.",
        top(*rate("http_requests_total", _ROUTE, _LEGEND)),
        "reqps",
    ),
    Panel(
        "p95 latency by route",
        "The ten slowest routes. A route with few requests jumps.",
        top(quantile(0.95, _DURATION, _ROUTE, _LEGEND)),
        "s",
    ),
    Panel(
        "Error ratio by route",
        "Ratio of a route's requests with a status of 500 or above; the ten highest.",
        top(
            Query(
                '(sum by (path) (rate(http_requests_total{status=~"5.."}[$__rate_interval])) '
                "> 0) / sum by (path) (rate(http_requests_total[$__rate_interval]))",
                "{{path}}",
            )
        ),
        "percentunit",
        max=1,
    ),
    Panel(
        "Busy workers by route",
        "How many requests of a route are in progress on average, which is how many workers it "
        "keeps busy; the ten highest.",
        top(*rate(f"{_DURATION}_sum", "path", "{{path}}")),
        is_stacked=True,
    ),
    Panel(
        "Response size (mean)",
        "Mean bytes in the body of a response; the ten routes with the largest.",
        top(mean("http_response_size_bytes", "path", "{{path}}")),
        "bytes",
    ),
    Panel(
        "Request size (mean)",
        "Mean bytes in the body of a request that has a body; the ten routes with the largest.",
        top(mean("http_request_size_bytes", "path", "{{path}}")),
        "bytes",
    ),
    Panel(
        "Database queries per request (p95)",
        "The ten routes with the most. Dozens for one request are an N+1 problem.",
        top(quantile(0.95, "http_request_db_queries", "path", "{{path}}")),
    ),
    Panel(
        "Database time per request (mean)",
        "The ten routes with the most; compare it with the duration of the whole request.",
        top(mean("http_request_db_seconds", "path", "{{path}}")),
        "s",
    ),
)


def routes(failing: Steps, slow: Steps) -> Row:
    """Return the row; the thresholds are those of error ratios and of latencies."""
    return Row("Routes", (_table(failing, slow), *_GRAPHS), is_expanded=True)
