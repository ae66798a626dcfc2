"""Metrics of requests to upstream APIs."""

from __future__ import annotations

from tachikoma_metrics.catalogue.definitions import Buckets, Counter, Gauge, Histogram, Label

BACKEND_BUCKETS: Buckets = (0.1, 0.5, 1, 2.5, 5, 10, 30)

BACKEND = Label("backend", "The upstream service that was called, such as `openai`.")
ENDPOINT = Label("endpoint", "The API operation that was called, else `other`.")
ERROR_TYPE = Label("error_type", "The kind of failure, such as `rate_limit`.", is_closed=True)

CLIENTS = "`instrument_client`, `track_backend_request`"
"""Record all of these metrics."""

_RECORDERS = f"{CLIENTS}, `record_backend_request`"

BACKEND_REQUESTS = Counter(
    "backend_requests_total",
    "Requests sent to an upstream API, including retries.",
    (BACKEND, ENDPOINT),
    recorded_by=_RECORDERS,
)
BACKEND_REQUEST_DURATION = Histogram(
    "backend_request_duration_seconds",
    "Seconds a request to an upstream API took.",
    (BACKEND,),
    buckets=BACKEND_BUCKETS,
    recorded_by=_RECORDERS,
    has_exemplars=True,
)
BACKEND_ERRORS = Counter(
    "backend_errors_total",
    "Failed requests to an upstream API.",
    (BACKEND, ERROR_TYPE),
    recorded_by=f"{CLIENTS}, `record_backend_error`",
)
BACKEND_REQUESTS_IN_PROGRESS = Gauge(
    "backend_requests_in_progress",
    "Requests to upstream APIs currently in progress.",
    opt_in=True,
    recorded_by=CLIENTS,
)
