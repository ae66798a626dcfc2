"""The stable semantic conventions of OpenTelemetry, under the names they have in Prometheus.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
https://opentelemetry.io/docs/specs/semconv/database/database-metrics/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from tachikoma_metrics.catalogue.definitions import Buckets
from tachikoma_metrics.catalogue.labels import OTHER, STATIC, UNMATCHED
from tachikoma_metrics.catalogue.views.definitions import (
    DATABASE_SYSTEM,
    DerivedLabel,
    DerivedMetric,
    View,
)

HTTP_BUCKETS: Buckets = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1, 2.5, 5, 7.5, 10),
)
DATABASE_BUCKETS: Buckets = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)

_STATEMENTS = ("select", "insert", "update", "delete")
_IN_MOTION = "The convention is in development: its names still change."

OPENTELEMETRY = View(
    "opentelemetry",
    (
        DerivedMetric(
            "http_server_request_duration_seconds",
            "histogram",
            "Seconds an HTTP request took.",
            ("http_request_duration_seconds",),
            (
                DerivedLabel("http_request_method", "method", renamed={OTHER: "_OTHER"}),
                DerivedLabel("http_route", "path", renamed={UNMATCHED: "", STATIC: ""}),
                DerivedLabel("http_response_status_code", "status"),
                DerivedLabel("url_scheme", "scheme"),
                DerivedLabel("error_type", "status", only=r"5\d\d"),
            ),
            buckets=HTTP_BUCKETS,
        ),
        DerivedMetric(
            "db_client_operation_duration_seconds",
            "histogram",
            "Seconds a database query took.",
            ("db_query_duration_seconds",),
            (
                DerivedLabel("db_system_name", "alias", looked_up=DATABASE_SYSTEM),
                DerivedLabel("db_namespace", "alias"),
                DerivedLabel(
                    "db_operation_name",
                    "operation",
                    renamed={name: name.upper() for name in _STATEMENTS},
                    only="|".join(_STATEMENTS),
                ),
            ),
            buckets=DATABASE_BUCKETS,
            difference="Without `db_collection_name`, and `db_namespace` is the alias.",
        ),
    ),
    {
        "http_client_request_duration_seconds": "The method and the address of the server are not "
        "kept for requests to upstream APIs.",
        "http_server_active_requests": _IN_MOTION,
        "http_server_request_body_size_bytes": _IN_MOTION,
        "http_server_response_body_size_bytes": _IN_MOTION,
        "db_client_connection_count": _IN_MOTION,
        "gen_ai_client_operation_duration_seconds": _IN_MOTION,
        "gen_ai_client_token_usage": _IN_MOTION,
        "messaging_process_duration_seconds": _IN_MOTION,
    },
)


class Convention(NamedTuple):
    """The name of a metric in the conventions, and those of its attributes by label."""

    name: str
    attributes: Mapping[str, str]


CONVENTIONS: Mapping[str, Convention] = {
    "http_server_request_duration_seconds": Convention(
        "http.server.request.duration",
        {
            "http_request_method": "http.request.method",
            "http_route": "http.route",
            "http_response_status_code": "http.response.status_code",
            "url_scheme": "url.scheme",
            "error_type": "error.type",
        },
    ),
    "db_client_operation_duration_seconds": Convention(
        "db.client.operation.duration",
        {
            "db_system_name": "db.system.name",
            "db_namespace": "db.namespace",
            "db_operation_name": "db.operation.name",
        },
    ),
}
"""The names in OpenTelemetry itself, by those that Prometheus has for them."""
