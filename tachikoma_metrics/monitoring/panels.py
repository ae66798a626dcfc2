"""What the dashboard shows: rows of panels, as data, in the names of the catalogue.

A panel says in its description what one sees, and what to look for. Units are Grafana's:
https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from tachikoma_metrics import catalogue
from tachikoma_metrics.business.families import declared
from tachikoma_metrics.conf import Config
from tachikoma_metrics.definitions import Counter
from tachikoma_metrics.registry.metrics import is_on, shape_of

Kind = Literal["timeseries", "stat", "heatmap"]
WIDE, HALF, THIRD, SMALL = 24, 12, 8, 4


@dataclass(frozen=True)
class Query:
    """Ask Prometheus; ``legend`` names each series of the answer, by ``{{label}}``."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """Show the answers to some queries.

    ``width`` is of 24 columns. ``alarming_from`` is the value from which a number is red.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = field(default=HALF, kw_only=True)
    kind: Kind = field(default="timeseries", kw_only=True)
    is_stacked: bool = field(default=False, kw_only=True)
    highest: float | None = field(default=None, kw_only=True)
    alarming_from: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Row:
    """Put panels under one heading; those of a row that is not open are asked when it is."""

    title: str
    panels: tuple[Panel, ...]
    is_open: bool = field(default=False, kw_only=True)


def _rate(family: str, by: str = "", legend: str = "") -> tuple[Query, ...]:
    rate = f"rate({family}[$__rate_interval])"
    return (Query(f"sum by ({by}) ({rate})" if by else f"sum({rate})", legend),)


def _quantile(quantile: float, histogram: str, by: str = "", legend: str = "") -> Query:
    labels = f"le, {by}" if by else "le"
    rate = f"rate({histogram}_bucket[$__rate_interval])"
    expression = f"histogram_quantile({quantile}, sum by ({labels}) ({rate}))"
    return Query(expression, legend or f"p{quantile * 100:g}")


def _quantiles(histogram: str) -> tuple[Query, ...]:
    return tuple(_quantile(quantile, histogram) for quantile in (0.5, 0.95, 0.99))


def _mean(histogram: str, by: str, legend: str) -> Query:
    parts = [
        f"sum by ({by}) (rate({histogram}_{part}[$__rate_interval]))" for part in ("sum", "count")
    ]
    return Query(" / ".join(parts), legend)


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
            _rate("http_requests_total"),
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
            alarming_from=0.01,
        ),
        Panel(
            "95th percentile",
            "Ninety-five of a hundred requests were answered, to the last byte, within this time.",
            (_quantile(0.95, "http_request_duration_seconds"),),
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
            alarming_from=1,
        ),
    ),
    is_open=True,
)

HTTP = Row(
    "HTTP",
    (
        Panel(
            "Requests by status",
            "499 is a client that left before its answer was complete.",
            _rate("http_requests_total", "status", "{{status}}"),
            "reqps",
            is_stacked=True,
        ),
        Panel(
            "Duration",
            "To the last byte of the answer, streamed ones included.",
            _quantiles("http_request_duration_seconds"),
            "s",
        ),
        Panel(
            "Requests by route",
            "What the service is asked for, and which routes grow.",
            _rate("http_requests_total", "method, path", "{{method}} {{path}}"),
            "reqps",
        ),
        Panel(
            "95th percentile by route",
            "Which routes are slow. A route with few requests jumps.",
            (
                _quantile(
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
            "Share of a route's requests that were answered with a status of 500 or above.",
            (
                Query(
                    'sum by (path) (rate(http_requests_total{status=~"5.."}[$__rate_interval])) '
                    "/ sum by (path) (rate(http_requests_total[$__rate_interval]))",
                    "{{path}}",
                ),
            ),
            "percentunit",
            highest=1,
        ),
        Panel(
            "Time spent by route",
            "Seconds of answering per second: where the work of the processes goes.",
            _rate("http_request_duration_seconds_sum", "path", "{{path}}"),
            "s",
            is_stacked=True,
        ),
        Panel(
            "How long requests take",
            "How many requests took how long. Two bands are two kinds of request.",
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
            "A line that only rises is requests that nobody finishes.",
            (Query("sum by (instance) (http_requests_in_flight)", "{{instance}}"),),
        ),
        Panel(
            "Size of answers",
            "Mean bytes in the body of an answer.",
            (_mean("http_response_size_bytes", "path", "{{path}}"),),
            "bytes",
        ),
        Panel(
            "Size of requests",
            "Mean bytes in the body of a request that has one.",
            (_mean("http_request_size_bytes", "path", "{{path}}"),),
            "bytes",
        ),
        Panel(
            "Time to first byte",
            "Until the answer began; far from the duration where answers are streamed.",
            _quantiles("http_response_time_to_first_byte_seconds"),
            "s",
        ),
        Panel(
            "Queries of a request",
            "95th percentile by route. Dozens for one page are an N+1.",
            (_quantile(0.95, "http_request_db_queries", "path", "{{path}}"),),
        ),
        Panel(
            "Time of a request in the database",
            "Mean seconds by route; compare it with the duration of the whole request.",
            (_mean("http_request_db_seconds", "path", "{{path}}"),),
            "s",
        ),
    ),
    is_open=True,
)

DATABASE = Row(
    "Database",
    (
        Panel(
            "Queries by operation",
            "Each execute and each executemany, those that failed too.",
            _rate("db_queries_total", "operation", "{{operation}}"),
            "ops",
            is_stacked=True,
        ),
        Panel(
            "Queries by table",
            "Tables of installed models; whatever else is asked is other.",
            _rate("db_queries_total", "table", "{{table}}"),
            "ops",
        ),
        Panel(
            "95th percentile by operation",
            "Until the database answered. Writes that slow down alone wait for locks.",
            (_quantile(0.95, "db_query_duration_seconds", "operation", "{{operation}}"),),
            "s",
        ),
        Panel(
            "Time spent by operation",
            "Seconds in the database per second: how many connections are busy on average.",
            _rate("db_query_duration_seconds_sum", "operation", "{{operation}}"),
            "s",
            is_stacked=True,
        ),
        Panel(
            "Open connections",
            "Compare it with what the database allows.",
            (Query("sum by (instance) (db_connections_current)", "{{instance}}"),),
            is_stacked=True,
        ),
    ),
)

CACHE = Row(
    "Cache",
    (
        Panel(
            "Hits",
            "Share of the look-ups that found their key. A drop after a deploy is a changed key.",
            (
                Query(
                    "sum(rate(cache_hits_total[$__rate_interval])) / "
                    "(sum(rate(cache_hits_total[$__rate_interval])) "
                    "+ sum(rate(cache_misses_total[$__rate_interval])))",
                    "hits",
                ),
            ),
            "percentunit",
            width=THIRD,
            highest=1,
        ),
        Panel(
            "Look-ups",
            "Keys looked up per second.",
            (
                *_rate("cache_hits_total", legend="hits"),
                *_rate("cache_misses_total", legend="misses"),
            ),
            "ops",
            width=THIRD,
            is_stacked=True,
        ),
        Panel(
            "Entries",
            "Of the caches that can tell, as each instance sees them.",
            (Query("max by (instance) (cache_size)", "{{instance}}"),),
            width=THIRD,
        ),
    ),
)

WEBSOCKET = Row(
    "WebSocket",
    (
        Panel(
            "Open connections",
            "WebSockets open now.",
            (Query("sum by (instance) (ws_connections_current)", "{{instance}}"),),
            is_stacked=True,
        ),
        Panel(
            "Accepted connections",
            "A high rate beside a flat number of open ones is clients that come again and again.",
            _rate("ws_connections_total", legend="accepted"),
            "cps",
        ),
        Panel(
            "Messages received",
            "From clients, by type.",
            _rate("ws_messages_received_total", "message_type", "{{message_type}}"),
            "mps",
            is_stacked=True,
        ),
        Panel(
            "Messages sent",
            "To clients, by type.",
            _rate("ws_messages_sent_total", "message_type", "{{message_type}}"),
            "mps",
            is_stacked=True,
        ),
        Panel(
            "How long connections last",
            "Of those that ended. Many that end after the same time are cut by a proxy's timeout.",
            _quantiles("ws_connection_duration_seconds"),
            "s",
            width=THIRD,
        ),
        Panel(
            "Refused connections",
            "Not accepted: closed or denied by the app, left by the client, or an error.",
            _rate("ws_connections_rejected_total", "reason", "{{reason}}"),
            "cps",
            width=THIRD,
        ),
        Panel(
            "Close codes",
            "1000 and 1001 are ordinary; 1006 is a connection that broke, 1011 an app that did.",
            _rate("ws_disconnects_total", "code", "{{code}}"),
            "cps",
            width=THIRD,
        ),
    ),
)

EXECUTIONS = Row(
    "Executions and tokens",
    (
        Panel(
            "Executions by status",
            "Executions of a language model that ended.",
            _rate("executions_total", "status", "{{status}}"),
            "ops",
            is_stacked=True,
        ),
        Panel(
            "Unsuccessful executions",
            "Share of a model's executions that ended in an error or a timeout.",
            (
                Query(
                    "sum by (backend, model) (rate("
                    'executions_total{status=~"error|timeout"}[$__rate_interval])) '
                    "/ sum by (backend, model) (rate(executions_total[$__rate_interval]))",
                    "{{backend}} {{model}}",
                ),
            ),
            "percentunit",
            highest=1,
        ),
        Panel(
            "95th percentile by model",
            "Seconds an execution took, retries of the SDK included.",
            (
                _quantile(
                    0.95, "execution_duration_seconds", "backend, model", "{{backend}} {{model}}"
                ),
            ),
            "s",
        ),
        Panel(
            "In progress",
            "Executions under way now.",
            (Query("sum by (instance) (executions_in_progress)", "{{instance}}"),),
            is_stacked=True,
        ),
        Panel(
            "Tokens by type",
            "Tokens per second; prompt has the cached ones in it.",
            _rate("execution_tokens_total", "type", "{{type}}"),
            "ops",
            is_stacked=True,
        ),
        Panel(
            "Tokens by model",
            "Who uses the tokens, and so the money.",
            _rate("execution_tokens_total", "backend, model", "{{backend}} {{model}}"),
            "ops",
            is_stacked=True,
        ),
        Panel(
            "Time to first chunk",
            "What one who waits for a streamed answer feels.",
            _quantiles("execution_time_to_first_chunk_seconds"),
            "s",
            width=THIRD,
        ),
        Panel(
            "Tokens in detail",
            "Cached, reasoning and audio tokens per second.",
            _rate("execution_token_details_total", "type", "{{type}}"),
            "ops",
            width=THIRD,
        ),
        Panel(
            "Cost",
            "US dollars per hour, at the present rate.",
            (Query("3600 * sum(rate(execution_cost_usd_total[$__rate_interval]))", "per hour"),),
            "currencyUSD",
            width=THIRD,
        ),
    ),
)

BACKENDS = Row(
    "Backends",
    (
        Panel(
            "Requests by operation",
            "Each HTTP attempt, retries included.",
            _rate("backend_requests_total", "backend, endpoint", "{{backend}} {{endpoint}}"),
            "reqps",
            is_stacked=True,
        ),
        Panel(
            "Errors by type",
            "rate_limit and overloaded are the backend's; timeout and connection may be ours.",
            _rate("backend_errors_total", "backend, error_type", "{{backend}} {{error_type}}"),
            "reqps",
            is_stacked=True,
        ),
        Panel(
            "Failed requests",
            "Share of a backend's requests that failed.",
            (
                Query(
                    "sum by (backend) (rate(backend_errors_total[$__rate_interval])) "
                    "/ sum by (backend) (rate(backend_requests_total[$__rate_interval]))",
                    "{{backend}}",
                ),
            ),
            "percentunit",
            highest=1,
        ),
        Panel(
            "95th percentile by backend",
            "To the last byte of the answer.",
            (_quantile(0.95, "backend_request_duration_seconds", "backend", "{{backend}}"),),
            "s",
        ),
        Panel(
            "Requests in progress",
            "Requests to backends under way now.",
            (Query("sum by (instance) (backend_requests_in_progress)", "{{instance}}"),),
            is_stacked=True,
        ),
    ),
)

BUSINESS = Row(
    "Business",
    (
        Panel(
            "Missions",
            "Missions that exist.",
            (Query("max(missions_total)", "missions"),),
            width=THIRD,
        ),
        Panel(
            "Specs by status",
            "Specs that exist.",
            (Query("max by (status) (specs_total)", "{{status}}"),),
            width=THIRD,
            is_stacked=True,
        ),
        Panel(
            "Changes to files",
            "Changes per second, by what was done and what became of it.",
            _rate("file_changes_total", "change_type, status", "{{change_type}} {{status}}"),
            "ops",
            width=THIRD,
        ),
    ),
)

FRESHNESS = (
    Panel(
        "Age of the counts",
        "Since the refresh began that the counts are of. Old ones are dropped.",
        (Query("time() - max(tachikoma_metrics_business_timestamp_seconds)", "age"),),
        "s",
        width=THIRD,
    ),
    Panel(
        "Refresh of the counts",
        "Seconds the last refresh took.",
        (Query("max(tachikoma_metrics_business_refresh_duration_seconds)", "seconds"),),
        "s",
        width=THIRD,
    ),
    Panel(
        "Trouble with the counts",
        "Families that could not be counted, and instances that show their last copy.",
        (
            Query("max(tachikoma_metrics_business_refresh_errors)", "not counted"),
            Query("count(tachikoma_metrics_business_up == 0) or vector(0)", "last copy"),
        ),
        width=THIRD,
    ),
)

PROCESS = Row(
    "Process and measuring",
    (
        Panel(
            "CPU",
            "Cores that all processes of an instance use.",
            (
                Query(
                    "sum by (instance) (rate(process_cpu_seconds_total[$__rate_interval]))",
                    "{{instance}}",
                ),
            ),
            width=THIRD,
        ),
        Panel(
            "Memory",
            "Resident memory of all processes of an instance; what they share counts for each.",
            (Query("sum by (instance) (process_resident_memory_bytes)", "{{instance}}"),),
            "bytes",
            width=THIRD,
        ),
        Panel(
            "Open files",
            "Of all processes of an instance. A line that only rises is a leak.",
            (Query("sum by (instance) (process_open_fds)", "{{instance}}"),),
            width=THIRD,
        ),
        Panel(
            "Processes",
            "Living processes of an instance that have values.",
            (Query("sum by (instance) (tachikoma_metrics_processes)", "{{instance}}"),),
            width=THIRD,
        ),
        Panel(
            "Garbage collections",
            "Of Python's collector, by generation.",
            _rate("python_gc_collections_total", "generation", "{{generation}}"),
            "ops",
            width=THIRD,
        ),
        Panel(
            "Uptime",
            "Since the oldest living process of an instance started.",
            (
                Query(
                    "time() - max by (instance) (process_start_time_seconds)",
                    "{{instance}}",
                ),
            ),
            "s",
            width=THIRD,
        ),
        Panel(
            "Faults while measuring",
            "By the part of tachikoma_metrics that met them. The log names the first of each kind.",
            (
                Query(
                    "sum by (source) (increase(tachikoma_metrics_errors_total[$__rate_interval])) "
                    "or 0 * sum(tachikoma_metrics_processes)",
                    "{{source}}",
                ),
            ),
            width=THIRD,
        ),
        Panel(
            "Label sets by family",
            "How full each family is; MAX_SERIES is the most of one process.",
            (Query("max by (family) (tachikoma_metrics_series)", "{{family}}"),),
            width=THIRD,
        ),
        Panel(
            "Time of a scrape",
            "Seconds the page took to make.",
            (
                Query(
                    "max by (instance) (tachikoma_metrics_scrape_duration_seconds)", "{{instance}}"
                ),
            ),
            "s",
            width=THIRD,
        ),
    ),
)


def rows(config: Config) -> Iterator[Row]:
    """Yield the rows of the dashboard, with panels for what the settings add."""
    yield OVERVIEW
    for row in (HTTP, DATABASE, CACHE, WEBSOCKET, EXECUTIONS, BACKENDS):
        yield _with(row, *_of_added_labels(row, config))
    yield _with(BUSINESS, *_of_declared_families(config), *FRESHNESS)
    yield PROCESS


def _with(row: Row, *panels: Panel) -> Row:
    return Row(row.title, (*row.panels, *panels), is_open=row.is_open)


def _of_added_labels(row: Row, config: Config) -> Iterator[Panel]:
    """Yield a panel for each label that ``LABELS`` adds to a counter which the row shows."""
    asked = " ".join(query.expression for panel in row.panels for query in panel.queries)
    for family in catalogue.FAMILIES.values():
        if not isinstance(family, Counter) or f"{family.name}[" not in asked:
            continue
        if not is_on(family, config):
            continue
        for label in shape_of(family, config).label_names:
            if label not in family.label_names:
                yield Panel(
                    f"{family.help.rstrip('.')} by {label}",
                    f"Per second, by the label that LABELS gives to {family.name}.",
                    _rate(family.name, label, f"{{{{{label}}}}}"),
                    "ops",
                )


def _of_declared_families(config: Config) -> Iterator[Panel]:
    for family in declared(config):
        if family.name not in catalogue.FAMILIES:
            legend = " ".join(f"{{{{{label}}}}}" for label in family.labels)
            labels = ", ".join(family.labels)
            expression = f"max by ({labels}) ({family.name})" if labels else f"max({family.name})"
            yield Panel(
                family.name,
                family.help,
                (Query(expression, legend or family.name),),
                width=THIRD,
            )
