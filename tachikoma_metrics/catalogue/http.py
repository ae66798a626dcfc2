"""Metrics of HTTP requests."""

from __future__ import annotations

from tachikoma_metrics.catalogue.definitions import Buckets, Counter, Gauge, Histogram, Label

LATENCY_BUCKETS: Buckets = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
SIZE_BUCKETS: Buckets = (100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000)
QUERY_COUNT_BUCKETS: Buckets = (1, 2, 5, 10, 20, 50, 100, 200, 500)

METHOD = Label("method", "One of the nine standard HTTP methods, else `other`.", is_closed=True)
PATH = Label(
    "path",
    "The template of the matched route. Without a match, `<static>` for a file below `STATIC_URL` "
    "or `MEDIA_URL` that a middleware served, else `<unmatched>`.",
)
STATUS = Label("status", "The status code; `499` if the client disconnected early.", is_closed=True)
VIEW = Label("view", "The name of the route, else of the view function.")
SCHEME = Label("scheme", "`http` or `https`.", is_closed=True)
TEMPLATE = Label("template", "The name of the template, else `other`.")
EXCEPTION = Label("exception", "The name of the exception's class, such as `KeyError`.")

MIDDLEWARE = "`MetricsMiddleware`"
"""Records all of these metrics."""

_REQUEST_EXTRAS = (VIEW, SCHEME)
_TIMED_EXTRAS = (STATUS, VIEW, SCHEME)

HTTP_REQUESTS = Counter(
    "http_requests_total",
    "HTTP requests answered.",
    (METHOD, PATH, STATUS),
    _REQUEST_EXTRAS,
    recorded_by=MIDDLEWARE,
    has_exemplars=True,
)
HTTP_REQUEST_DURATION = Histogram(
    "http_request_duration_seconds",
    "Seconds from the arrival of an HTTP request to the last byte of its response.",
    (METHOD, PATH),
    _TIMED_EXTRAS,
    buckets=LATENCY_BUCKETS,
    bucket_setting="LATENCY_BUCKETS",
    recorded_by=MIDDLEWARE,
    has_exemplars=True,
)
HTTP_REQUEST_SIZE = Histogram(
    "http_request_size_bytes",
    "Bytes in the body of an HTTP request, according to its Content-Length.",
    (METHOD, PATH),
    _TIMED_EXTRAS,
    buckets=SIZE_BUCKETS,
    bucket_setting="SIZE_BUCKETS",
    recorded_by=MIDDLEWARE,
)
HTTP_RESPONSE_SIZE = Histogram(
    "http_response_size_bytes",
    "Bytes in the body of an HTTP response, streamed or not.",
    (METHOD, PATH),
    _TIMED_EXTRAS,
    buckets=SIZE_BUCKETS,
    bucket_setting="SIZE_BUCKETS",
    recorded_by=MIDDLEWARE,
)
HTTP_REQUESTS_LOST = Counter(
    "http_requests_lost_total",
    "HTTP requests in progress when their process died.",
    recorded_by=MIDDLEWARE,
)
HTTP_REQUESTS_IN_FLIGHT = Gauge(
    "http_requests_in_flight",
    "HTTP requests currently in progress.",
    lost=HTTP_REQUESTS_LOST,
    recorded_by=MIDDLEWARE,
)
HTTP_EXCEPTIONS = Counter(
    "http_exceptions_total",
    "HTTP requests that ended in an exception, which Django answered with status 500.",
    (EXCEPTION,),
    (PATH, VIEW),
    recorded_by=MIDDLEWARE,
)
HTTP_RESPONSE_TIME_TO_FIRST_BYTE = Histogram(
    "http_response_time_to_first_byte_seconds",
    "Seconds from the arrival of an HTTP request to the first byte of its response.",
    (METHOD, PATH),
    _TIMED_EXTRAS,
    buckets=LATENCY_BUCKETS,
    bucket_setting="LATENCY_BUCKETS",
    opt_in=True,
    recorded_by=MIDDLEWARE,
)
HTTP_REQUEST_QUEUE = Histogram(
    "http_request_queue_seconds",
    "Seconds an HTTP request waited between the proxy and the middleware, according to "
    "X-Request-Start or X-Queue-Start.",
    buckets=LATENCY_BUCKETS,
    bucket_setting="LATENCY_BUCKETS",
    opt_in=True,
    recorded_by=MIDDLEWARE,
)
HTTP_REQUEST_DB_QUERIES = Histogram(
    "http_request_db_queries",
    "Database queries per HTTP request.",
    (METHOD, PATH),
    _REQUEST_EXTRAS,
    buckets=QUERY_COUNT_BUCKETS,
    opt_in=True,
    recorded_by=MIDDLEWARE,
)
HTTP_REQUEST_DB = Histogram(
    "http_request_db_seconds",
    "Seconds spent in the database per HTTP request.",
    (METHOD, PATH),
    _REQUEST_EXTRAS,
    buckets=LATENCY_BUCKETS,
    bucket_setting="LATENCY_BUCKETS",
    opt_in=True,
    recorded_by=MIDDLEWARE,
)
HTTP_RESPONSES_BY_TEMPLATE = Counter(
    "http_responses_by_template_total",
    "HTTP responses that a view returned as `TemplateResponse`, by template.",
    (TEMPLATE,),
    opt_in=True,
    recorded_by=MIDDLEWARE,
)
