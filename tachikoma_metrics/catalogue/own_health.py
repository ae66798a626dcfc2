"""Metrics of tachikoma_metrics itself; their names begin with ``tachikoma_metrics_``."""

from __future__ import annotations

from tachikoma_metrics.catalogue.business import BUSINESS
from tachikoma_metrics.catalogue.definitions import Counter, Gauge, Label

REFUSALS = (
    "address",
    "browser",
    "busy",
    "error",
    "permission",
    "proxy",
    "server",
    "settings",
    "token",
    "unix_socket",
)
"""Every reason for which a scrape is rejected."""
REFUSAL = Label(
    "reason",
    "`address`: the client address is not in `ALLOWED_NETWORKS`; `proxy`: a proxy does not name "
    "the client; `server`: the server hides the client address; `unix_socket`: no header names "
    "the client; `browser`: a web page sent it under a host that is not in `ALLOWED_HOSTS`; "
    "`token`, `permission`: `TOKENS` or `PERMISSION` rejected it; `settings`: an access setting is "
    "invalid; `busy`: too many connections to `WORKER_PORT`; `error`: access could not be decided.",
    is_closed=True,
)
SOURCE = Label(
    "source", "The part of tachikoma_metrics that failed, such as `http`, `database` or `settings`."
)
PUSH_OUTCOMES = (
    "success",
    "partial",
    "throttled",
    "rejected",
    "error",
    "unreachable",
    "incomplete",
)
"""Every outcome of a push."""
PUSH_OUTCOME = Label(
    "outcome",
    "`success`; `partial`: the receiver rejected some of the values; `throttled`: it limits the "
    "rate (status 429 or 503); `rejected`: another status below 500; `error`: another status "
    "from 500 on; `unreachable`: no response in time; `incomplete`: the values of a process could "
    "not be read, and nothing was sent.",
    is_closed=True,
)
FAMILY = Label("family", "The name of the metric, without the namespace.")
VERSION = Label("version", "The version of tachikoma_metrics.")

_ITSELF = "tachikoma_metrics itself"
SENDER_OF_PUSHES = "the process that sends by OTLP (`OTLP`, or `manage.py metrics_push otlp`)"

INFO = Gauge(
    "tachikoma_metrics_info",
    "The installed version of tachikoma_metrics; always 1.",
    (VERSION,),
    latest_wins=True,
    is_per_scrape=True,
    recorded_by=_ITSELF,
)
ERRORS = Counter(
    "tachikoma_metrics_errors_total",
    "Errors in instrumentation or exposition.",
    (SOURCE,),
    recorded_by=_ITSELF,
)
OVERFLOW = Counter(
    "tachikoma_metrics_overflow_total",
    "Updates aggregated into `overflow` because of CARDINALITY_LIMIT.",
    (FAMILY,),
    recorded_by=_ITSELF,
)
PROCESSES = Gauge(
    "tachikoma_metrics_processes",
    "Live processes whose metrics the endpoint exposes.",
    latest_wins=True,
    is_per_scrape=True,
    recorded_by=_ITSELF,
)
BUSINESS_TIMESTAMP = Gauge(
    "tachikoma_metrics_business_timestamp_seconds",
    "Start time of the refresh that produced the current business metrics, in Unix seconds.",
    latest_wins=True,
    recorded_by=BUSINESS,
)
BUSINESS_UP = Gauge(
    "tachikoma_metrics_business_up",
    "Whether the business metrics could be read: 1, or 0 if the endpoint exposes the last copy.",
    latest_wins=True,
    recorded_by=BUSINESS,
)
BUSINESS_REFRESH_DURATION = Gauge(
    "tachikoma_metrics_business_refresh_duration_seconds",
    "Seconds the last refresh of the business metrics took.",
    latest_wins=True,
    recorded_by=BUSINESS,
)
BUSINESS_REFRESH_ERRORS = Gauge(
    "tachikoma_metrics_business_refresh_errors",
    "Business metrics that the last refresh could not count.",
    latest_wins=True,
    recorded_by=BUSINESS,
)
CARDINALITY = Gauge(
    "tachikoma_metrics_cardinality",
    "Label sets of a metric, across all processes (limit: CARDINALITY_LIMIT).",
    (FAMILY,),
    latest_wins=True,
    is_per_scrape=True,
    recorded_by=_ITSELF,
)
SCRAPES_REFUSED = Counter(
    "tachikoma_metrics_scrapes_refused_total",
    "Requests to the metrics endpoint that access control rejected.",
    (REFUSAL,),
    recorded_by=_ITSELF,
)
SCRAPE_DURATION = Gauge(
    "tachikoma_metrics_scrape_duration_seconds",
    "Seconds the previous scrape took to collect and render.",
    latest_wins=True,
    recorded_by=_ITSELF,
)
PUSHES = Counter(
    "tachikoma_metrics_pushes_total",
    "Pushes by OTLP.",
    (PUSH_OUTCOME,),
    recorded_by=SENDER_OF_PUSHES,
)
PUSH_LAST_SUCCESS_TIMESTAMP = Gauge(
    "tachikoma_metrics_push_last_success_timestamp_seconds",
    "Time of the last push by OTLP that the receiver accepted, in Unix seconds.",
    latest_wins=True,
    recorded_by=SENDER_OF_PUSHES,
)
