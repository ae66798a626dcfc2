"""What is pushed is what is scraped at the same moment."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import override_settings
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from prometheus_client import REGISTRY, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
    UnknownMetricFamily,
)
from prometheus_client.parser import text_string_to_metric_families

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import OPENMETRICS
from tachikoma_metrics.push.otlp_format import OtlpFormat
from tests.push.receiver import Key, Push

CHANGING = ("process_", "python_gc_", "tachikoma_metrics_scrape_duration")


class Custom:
    """Yield every type of family, as a library's collector may."""

    def collect(self) -> Iterator[Any]:
        """Return them."""
        counter = CounterMetricFamily("custom_jobs", "Jobs.", labels=["kind"], created=1000.5)
        counter.add_metric(["a"], 3, created=1000.5)
        yield counter
        gauge = GaugeMetricFamily("custom_level", "Level.", labels=["kind", "empty"])
        gauge.add_metric(["ä\n", ""], -2.5)
        gauge.add_metric(["inf", ""], math.inf)
        yield gauge
        histogram = HistogramMetricFamily("custom_wait", "Wait.", labels=["kind"])
        histogram.add_metric(["a"], [("0.1", 1), ("1.0", 4), ("+Inf", 5)], 7.5)
        histogram.add_metric(["b"], [("+Inf", 0)], 0)
        yield histogram
        summary = SummaryMetricFamily("custom_size", "Size.", count_value=3, sum_value=30)
        summary.add_sample("custom_size", {"quantile": "0.5"}, 9.0)
        yield summary
        yield UnknownMetricFamily("custom_unknown", "Unknown.", value=4)
        yield GaugeHistogramMetricFamily(
            "custom_queue", "Queue.", buckets=[("1.0", 2), ("+Inf", 3)], gsum_value=5
        )


@pytest.fixture
def every_type() -> Iterator[None]:
    """Have a metric of every type of prometheus_client's, and of every type a collector has."""
    made: list[Any] = [
        Counter("own_jobs", "Jobs.", ["kind"]),
        Gauge("own_level", "Level."),
        Histogram("own_wait_seconds", "Wait.", ["kind"], buckets=(0.1, 1)),
        Histogram("own_change", "Change.", buckets=(-1, 0, 1)),
        Summary("own_size_bytes", "Size."),
        Info("own_build", "Build."),
        Enum("own_state", "State.", states=["on", "off"]),
    ]
    made[0].labels("a").inc(3)
    made[1].set(-4)
    for value in (0.05, 0.5, 5):
        made[2].labels("a").observe(value)
        made[3].observe(value)
    made[4].observe(12)
    made[5].info({"revision": "abc"})
    made[6].state("off")
    custom = Custom()
    REGISTRY.register(custom)
    yield
    for one in (*made, custom):
        REGISTRY.unregister(one)


def pushed(**options: Any) -> Push:
    body = METRICS.expose(OtlpFormat({"service.name": "a"}, time.time_ns, **options))
    return Push("", {}, ExportMetricsServiceRequest.FromString(body))


def scraped() -> dict[Key, float]:
    return {
        (sample.name, frozenset((k, v) for k, v in sample.labels.items() if v)): sample.value
        for family in text_string_to_metric_families(METRICS.encode())
        for sample in family.samples
    }


def steady(samples: dict[Key, float]) -> dict[Key, float]:
    """Return the samples that are alike from one moment to the next, by the number in ``le``."""
    return {
        (
            name,
            frozenset((k, repr(float(v)) if k in ("le", "quantile") else v) for k, v in labels),
        ): value
        for (name, labels), value in samples.items()
        if not name.startswith(CHANGING)
    }


@pytest.mark.usefixtures("every_type")
def test_scrape_and_push_are_equal_for_every_type():
    METRICS.http_requests_total.labels("GET", "/", "200").inc(7)
    METRICS.http_request_duration_seconds.labels("GET", "/").observe(0.2)
    METRICS.http_requests_in_flight.inc(0)

    push, page = pushed(), scraped()

    assert steady(push.samples) == steady(page)
    names = {name for name, _ in push.samples} | {"tachikoma_metrics_scrape_duration_seconds"}
    assert names == {name for name, _ in page}


@pytest.mark.usefixtures("every_type")
def test_types_are_those_of_the_families():
    push = pushed()

    found = {name: metric.WhichOneof("data") for name, metric in push.metrics.items()}
    assert found["own_jobs_total"] == "sum"
    assert found["own_level"] == found["own_build_info"] == found["own_state"] == "gauge"
    assert found["own_wait_seconds"] == "histogram"
    assert found["own_size_bytes"] == "summary"
    assert found["custom_queue_bucket"] == "gauge"
    total = push.metrics["own_jobs_total"].sum
    assert total.is_monotonic
    assert total.aggregation_temporality == 2
    assert push.metrics["own_wait_seconds"].histogram.aggregation_temporality == 2
    assert push.metrics["own_wait_seconds"].unit == "s"
    assert push.metrics["own_size_bytes"].unit == "By"


def test_global_labels_are_attributes():
    with override_settings(TACHIKOMA_METRICS={"GLOBAL_LABELS": {"region": "north"}}):
        METRICS.http_requests_total.labels("GET", "/", "200").inc()

        assert steady(pushed().samples) == steady(scraped())
        assert all(("region", "north") in labels for _, labels in pushed().samples)


def test_what_no_format_allows_is_left_out_alone():
    class Odd:
        def collect(self) -> Iterator[Any]:
            family = CounterMetricFamily("odd", "Odd.", labels=["kind"])
            family.add_metric(["negative"], -1)
            family.add_metric(["good"], 1)
            yield family

    odd = Odd()
    REGISTRY.register(odd)
    try:
        push = pushed()
    finally:
        REGISTRY.unregister(odd)

    assert [labels for name, labels in push.samples if name == "odd_total"] == [
        frozenset({("kind", "good")})
    ]


def test_starts_are_known_where_something_was_counted_and_never_move():
    METRICS.http_requests_total.labels("GET", "/", "200").inc()
    before = pushed()
    METRICS.http_requests_total.labels("GET", "/", "200").inc()
    after = pushed()

    key = (
        "http_requests_total",
        frozenset({"method": "GET", "path": "/", "status": "200"}.items()),
    )
    (time_before,), (time_after,) = before.times, after.times
    assert time_before < time_after
    assert 0 < before.points[key].start_time_unix_nano < time_before
    assert before.points[key].start_time_unix_nano == after.points[key].start_time_unix_nano


@pytest.mark.usefixtures("every_type")
def test_created_samples_of_collectors_are_starts():
    key = ("custom_jobs_total", frozenset({("kind", "a")}))

    assert pushed().points[key].start_time_unix_nano == 1000_500_000_000


def test_exemplars_go_along():
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    counter = Counter("traced_jobs", "Jobs.")
    histogram = Histogram("traced_seconds", "Seconds.", buckets=(1,))
    try:
        counter.inc(1, {"trace_id": trace, "span_id": span})
        histogram.observe(0.5, {"trace_id": trace, "user": "a"})
        points = pushed().points
        openmetrics = METRICS.expose(OPENMETRICS)
    finally:
        REGISTRY.unregister(counter)
        REGISTRY.unregister(histogram)

    assert trace in openmetrics
    (of_counter,) = points["traced_jobs_total", frozenset()].exemplars
    assert (of_counter.trace_id.hex(), of_counter.span_id.hex()) == (trace, span)
    assert (of_counter.as_double, len(of_counter.filtered_attributes)) == (1, 0)
    (of_bucket,) = points["traced_seconds", frozenset()].exemplars
    assert (of_bucket.trace_id.hex(), of_bucket.as_double) == (trace, 0.5)
    assert [one.key for one in of_bucket.filtered_attributes] == ["user"]
    assert of_bucket.time_unix_nano > 0


def test_the_last_resort_is_a_request_as_well():
    body = METRICS.last_resort(OtlpFormat({"service.name": "a"}, time.time_ns))
    push = Push("", {}, ExportMetricsServiceRequest.FromString(body))

    assert [name for name, _ in push.samples] == ["tachikoma_metrics_errors_total"]


def test_native_histograms_are_exponential_ones():
    settings = {"NATIVE_HISTOGRAMS": ["http_request_duration_seconds"]}
    with override_settings(TACHIKOMA_METRICS=settings):
        child = METRICS.http_request_duration_seconds.labels("GET", "/")
        for value in (0.0, 0.75, 1.0, 1.0, 3.0, 100.0):
            child.observe(value)
        push, page = pushed(), scraped()

    metric = push.metrics["http_request_duration_seconds"]
    assert metric.WhichOneof("data") == "exponential_histogram"
    assert metric.exponential_histogram.aggregation_temporality == 2
    (point,) = metric.exponential_histogram.data_points
    labels = frozenset({"method": "GET", "path": "/"}.items())
    assert point.count == page["http_request_duration_seconds_count", labels] == 6
    assert point.sum == page["http_request_duration_seconds_sum", labels] == 105.75
    assert point.zero_count == 1
    base = 2 ** (2**-point.scale)
    counted = {
        number: count
        for number, count in enumerate(point.positive.bucket_counts, point.positive.offset)
        if count
    }
    # A bucket of OTLP has what is above its base to the power of its number, and no more than
    # that to the power of the next.
    expected = [math.ceil(math.log(value, base) - 1e-9) - 1 for value in (0.75, 1.0, 3.0, 100.0)]
    assert counted == dict(zip(expected, (1, 2, 1, 1), strict=True))
    assert 0 < point.start_time_unix_nano < point.time_unix_nano
