"""OpenTelemetry's instrumentation of Django, for metrics alone."""

from __future__ import annotations

import os

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.instrumentation.django import DjangoInstrumentor
from opentelemetry.sdk.metrics import MeterProvider


def instrument() -> None:
    """Have requests measured; without a tracer provider, no trace is recorded."""
    # Its stable conventions, which also cost less than those it has unless told.
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "http"
    provider = MeterProvider(metric_readers=[PrometheusMetricReader()])
    DjangoInstrumentor().instrument(meter_provider=provider)
