"""The metrics of django-prometheus 2.5.

https://github.com/django-commons/django-prometheus
"""

from __future__ import annotations

from tachikoma_metrics.catalogue.cache import FALLIBLE_CACHE_OPERATIONS
from tachikoma_metrics.catalogue.definitions import Buckets
from tachikoma_metrics.catalogue.http import SIZE_BUCKETS
from tachikoma_metrics.catalogue.labels import OTHER, STATIC, UNMATCHED
from tachikoma_metrics.catalogue.views.definitions import (
    CACHE_BACKEND,
    DATABASE_VENDOR,
    DerivedLabel,
    DerivedMetric,
    View,
)

LATENCY_BUCKETS: Buckets = (
    *(0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1, 2.5, 5, 7.5, 10, 25, 50, 75),
)

_REQUESTS = ("http_requests_total",)
_DURATION = ("http_request_duration_seconds",)
_EXCEPTIONS = ("http_exceptions_total",)
_UNNAMED = "<unnamed view>"
_WITHOUT_ROUTE = frozenset({UNMATCHED, STATIC})

_METHOD = DerivedLabel("method", renamed={OTHER: "<invalid method>"})
_TRANSPORT = DerivedLabel("transport", "scheme")
_STATUS = DerivedLabel("status")
_VIEW = DerivedLabel("view", renamed=dict.fromkeys(_WITHOUT_ROUTE, _UNNAMED))
_ALIAS = DerivedLabel("alias")
_VENDOR = DerivedLabel("vendor", "alias", looked_up=DATABASE_VENDOR)
_BACKEND = DerivedLabel("backend", "cache", looked_up=CACHE_BACKEND)

_ANSWERED = "A request counts once it is answered, whichever middleware answers it."
_BY_KEY = "Lookups are counted by key, in all methods; a stored `None` is a hit."
_OWN_QUERIES = (
    "Without the statements that set up a connection to PostgreSQL, and those of "
    "tachikoma_metrics itself."
)

_BOUNDS = (
    "The bounds are powers of ten. Thirty powers of two would be stored for each method and path, "
    "and a scrape would take twice as long as without the view."
)

_HTTP = (
    DerivedMetric(
        "django_http_requests_before_middlewares_total",
        "counter",
        "HTTP requests.",
        _REQUESTS,
        difference=_ANSWERED,
    ),
    DerivedMetric(
        "django_http_responses_before_middlewares_total",
        "counter",
        "HTTP responses.",
        _REQUESTS,
        difference="A request whose client disconnected is among them.",
    ),
    DerivedMetric(
        "django_http_requests_latency_including_middlewares_seconds",
        "histogram",
        "Seconds an HTTP request took, with all middleware.",
        _DURATION,
        buckets=LATENCY_BUCKETS,
        difference="Until the last byte, for a streamed response, too.",
    ),
    DerivedMetric(
        "django_http_requests_unknown_latency_including_middlewares_total",
        "counter",
        "HTTP requests of unknown duration, with all middleware: there are none.",
    ),
    DerivedMetric(
        "django_http_requests_latency_seconds_by_view_method",
        "histogram",
        "Seconds an HTTP request took, by view.",
        _DURATION,
        (_VIEW, _METHOD),
        buckets=LATENCY_BUCKETS,
        difference="With all middleware, and once where the view raised, not twice.",
    ),
    DerivedMetric(
        "django_http_requests_unknown_latency_total",
        "counter",
        "HTTP requests of unknown duration: there are none.",
    ),
    DerivedMetric(
        "django_http_requests_total_by_method_total",
        "counter",
        "HTTP requests by method.",
        _REQUESTS,
        (_METHOD,),
        difference=_ANSWERED,
    ),
    DerivedMetric(
        "django_http_requests_total_by_transport_total",
        "counter",
        "HTTP requests by transport.",
        _REQUESTS,
        (_TRANSPORT,),
        difference=_ANSWERED,
    ),
    DerivedMetric(
        "django_http_requests_total_by_view_transport_method_total",
        "counter",
        "HTTP requests by view, transport and method.",
        _REQUESTS,
        (_VIEW, _TRANSPORT, _METHOD),
        skipped={"view": _WITHOUT_ROUTE},
        difference=_ANSWERED,
    ),
    DerivedMetric(
        "django_http_requests_body_total_bytes",
        "histogram",
        "Bytes in the body of an HTTP request.",
        ("http_request_size_bytes",),
        buckets=SIZE_BUCKETS,
        difference=f"Without requests that state no `Content-Length`. {_BOUNDS}",
    ),
    DerivedMetric(
        "django_http_responses_body_total_bytes",
        "histogram",
        "Bytes in the body of an HTTP response.",
        ("http_response_size_bytes",),
        buckets=SIZE_BUCKETS,
        difference="Streamed responses count, too, and a response to `HEAD` has no bytes. "
        f"{_BOUNDS}",
    ),
    DerivedMetric(
        "django_http_responses_total_by_status_total",
        "counter",
        "HTTP responses by status code.",
        _REQUESTS,
        (_STATUS,),
        difference="The status that was sent: `301` where a slash is added. `499` if the client "
        "disconnected early.",
    ),
    DerivedMetric(
        "django_http_responses_total_by_status_view_method_total",
        "counter",
        "HTTP responses by status code, view and method.",
        _REQUESTS,
        (_STATUS, _VIEW, _METHOD),
        difference="The status that was sent: `301` where a slash is added. `499` if the client "
        "disconnected early.",
    ),
    DerivedMetric(
        "django_http_responses_total_by_templatename_total",
        "counter",
        "HTTP responses by template.",
        ("http_responses_by_template_total",),
        (DerivedLabel("templatename", "template"),),
        difference="The template that is rendered, also where a view gives a list to choose from: "
        "`shop/order_list.html`, not `['shop/order_list.html']`.",
    ),
    DerivedMetric(
        "django_http_exceptions_total_by_type_total",
        "counter",
        "Exceptions that became a response, by class.",
        _EXCEPTIONS,
        (DerivedLabel("type", "exception"),),
        difference="Without `Http404` and `PermissionDenied`, which are responses.",
    ),
    DerivedMetric(
        "django_http_exceptions_total_by_view_total",
        "counter",
        "Exceptions that became a response, by view.",
        _EXCEPTIONS,
        (_VIEW,),
        difference="Without `Http404` and `PermissionDenied`, which are responses.",
    ),
)

_DATABASE = (
    DerivedMetric(
        "django_db_execute_total",
        "counter",
        "Database queries executed.",
        ("db_queries_total",),
        (_ALIAS, _VENDOR),
        difference="`executemany` is one query, not one for each set of parameters. "
        f"{_OWN_QUERIES}",
    ),
    DerivedMetric(
        "django_db_query_duration_seconds",
        "histogram",
        "Seconds a database query took.",
        ("db_query_duration_seconds",),
        (_ALIAS, _VENDOR),
        buckets=LATENCY_BUCKETS,
        difference=_OWN_QUERIES,
    ),
    DerivedMetric(
        "django_db_errors_total",
        "counter",
        "Database queries that failed, by class of exception.",
        ("db_errors_total",),
        (_ALIAS, _VENDOR, DerivedLabel("type", "error_type")),
        difference="Django's classes of exceptions, not the driver's. Errors at a commit and "
        "while rows are read count, too.",
    ),
    DerivedMetric(
        "django_db_new_connections_total",
        "counter",
        "Database connections opened.",
        ("db_connections_opened_total",),
        (_ALIAS, _VENDOR),
        difference="Without attempts that failed.",
    ),
    DerivedMetric(
        "django_db_new_connection_errors_total",
        "counter",
        "Database connections that could not be opened.",
        ("db_connection_errors_total",),
        (_ALIAS, _VENDOR),
    ),
)

_CACHE = (
    DerivedMetric(
        "django_cache_get_total",
        "counter",
        "Cache lookups.",
        ("cache_hits_total", "cache_misses_total"),
        (_BACKEND,),
        difference=f"{_BY_KEY} A lookup that failed is neither.",
    ),
    DerivedMetric(
        "django_cache_get_hits_total",
        "counter",
        "Cache lookups that found their key.",
        ("cache_hits_total",),
        (_BACKEND,),
        difference=_BY_KEY,
    ),
    DerivedMetric(
        "django_cache_get_misses_total",
        "counter",
        "Cache lookups that did not find their key.",
        ("cache_misses_total",),
        (_BACKEND,),
        difference=_BY_KEY,
    ),
    DerivedMetric(
        "django_cache_get_fail_total",
        "counter",
        "Cache lookups that raised an exception.",
        ("cache_errors_total",),
        (_BACKEND,),
        skipped={"operation": frozenset(FALLIBLE_CACHE_OPERATIONS) - {"get"}},
        difference="Of every backend, not of Redis alone. An exception that the backend itself "
        "ignores is none.",
    ),
)

_MIGRATIONS = (
    DerivedMetric(
        "django_migrations_unapplied_total",
        "gauge",
        "Migrations that are not applied.",
        ("migrations_unapplied",),
        (DerivedLabel("connection", "alias"),),
    ),
    DerivedMetric(
        "django_migrations_applied_total",
        "gauge",
        "Migrations that are applied.",
        ("migrations_applied",),
        (DerivedLabel("connection", "alias"),),
    ),
)

_MIXIN = (
    "`ExportModelOperationsMixin` of `tachikoma_metrics.compat.django_prometheus` counts it, under "
    "the same name."
)

DJANGO_PROMETHEUS = View(
    "django-prometheus",
    (*_HTTP, *_DATABASE, *_CACHE, *_MIGRATIONS),
    {
        "django_http_ajax_requests_total": "The header `X-Requested-With` is not read; "
        "`EXTRA_LABELS` can tell such requests.",
        "django_http_responses_total_by_charset_total": "The charset is not read: it is the same "
        "in nearly all responses.",
        "django_http_responses_streaming_total": "Streamed responses are not counted separately.",
        "django_db_execute_many_total": "The number of parameters is not counted: `executemany` "
        "is one query.",
        "django_model_inserts_total": _MIXIN,
        "django_model_updates_total": _MIXIN,
        "django_model_deletes_total": _MIXIN,
    },
    namespace_setting="PROMETHEUS_METRIC_NAMESPACE",
    bucket_setting="PROMETHEUS_LATENCY_BUCKETS",
    default_buckets=LATENCY_BUCKETS,
)
