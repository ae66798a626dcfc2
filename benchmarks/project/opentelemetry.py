"""OpenTelemetry's instrumentation of Django and of databases, for metrics only."""

from __future__ import annotations

import os

from django.db.backends.base.base import BaseDatabaseWrapper
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation import dbapi
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider


def instrument() -> None:
    """Instrument requests; without a tracer provider, no trace is recorded."""
    # The stable conventions cost less than the default ones, and only they include databases.
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http,database"
    set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))
    DjangoInstrumentor().instrument()


def instrument_connection(connection: BaseDatabaseWrapper) -> None:
    """Instrument the queries of one open connection.

    The instrumentation of a driver does this for each new connection.
    """
    connection.connection = dbapi.instrument_connection(
        __name__, connection.connection, connection.vendor
    )
