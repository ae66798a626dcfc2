"""OpenTelemetry's instrumentation of Django and of databases, for metrics alone."""

from __future__ import annotations

import os

from django.db.backends.base.base import BaseDatabaseWrapper
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation import dbapi
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.metrics import set_meter_provider
from opentelemetry.sdk.metrics import MeterProvider


def instrument() -> None:
    """Have requests measured; without a tracer provider, no trace is recorded."""
    # Its stable conventions, which also cost less than those it has unless told.
    # Of databases, nothing is measured by any other.
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http,database"
    set_meter_provider(MeterProvider(metric_readers=[PrometheusMetricReader()]))
    DjangoInstrumentor().instrument()


def instrument_connection(connection: BaseDatabaseWrapper) -> None:
    """Have the queries of one open connection measured.

    The instrumentation of a driver does this to each connection that the driver makes.
    """
    connection.connection = dbapi.instrument_connection(
        __name__, connection.connection, connection.vendor
    )
