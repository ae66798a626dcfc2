"""Native histograms of this process, as Google's library decodes them."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import REGISTRY, Histogram

from tachikoma_metrics import METRICS, record_db_query
from tachikoma_metrics.exposition import PROTOBUF, TEXT
from tachikoma_metrics.testing import sample_value
from tests.exposition.decoded import Decoded, decode

DURATION = "db_query_duration_seconds"


@pytest.fixture(autouse=True)
def _native(settings: Any) -> None:
    settings.TACHIKOMA_METRICS = {"NATIVE_HISTOGRAMS": True}


@pytest.fixture
def weight(_native: None) -> Iterator[Histogram]:
    histogram = Histogram("weight", "Weight.", buckets=(1, 10))
    yield histogram
    REGISTRY.unregister(histogram)


def scraped() -> Decoded:
    return decode(METRICS.expose(PROTOBUF))


def index_of(value: float, schema: int = 3) -> int:
    """Return the bucket whose upper bound is the first that is not below ``value``."""
    number: int = math.ceil(round(math.log2(value) * 2**schema, 9))
    return number


def test_an_observation_is_in_the_bucket_that_ends_at_or_above_it():
    for seconds in (0.25, 0.3, 0.3, 8.0):
        record_db_query("select", "other", seconds)

    found = scraped().native(DURATION, operation="select")

    assert (found.schema, found.count) == (3, 4)
    assert found.sum == pytest.approx(8.85)
    assert found.buckets == {index_of(0.25): 1, index_of(0.3): 2, 24: 1}
    assert index_of(0.25) == -16


@pytest.mark.parametrize("schema", range(6))
def test_the_schema_says_how_many_buckets_a_power_of_two_has(settings: Any, schema: int):
    settings.TACHIKOMA_METRICS = {"NATIVE_HISTOGRAMS": True, "NATIVE_HISTOGRAM_SCHEMA": schema}
    values = [1.1**number / 100 for number in range(100)]
    for seconds in values:
        record_db_query("select", "other", seconds)

    found = scraped().native(DURATION, operation="select")

    expected: dict[int, int] = {}
    for value in values:
        expected[index_of(value, schema)] = expected.get(index_of(value, schema), 0) + 1
    assert (found.schema, found.buckets) == (schema, expected)


def test_text_shows_what_it_shows_without_native_histograms(settings: Any):
    record_db_query("select", "other", 0.3)
    native = [line for line in METRICS.expose(TEXT).splitlines() if line.startswith(DURATION)]

    settings.TACHIKOMA_METRICS = {}
    record_db_query("select", "other", 0.3)
    classic = METRICS.expose(TEXT)

    assert native
    assert set(native) <= set(classic.splitlines())
    assert not decode(METRICS.expose(PROTOBUF)).natives


def test_only_the_histograms_that_are_named_are_native(settings: Any):
    settings.TACHIKOMA_METRICS = {"NATIVE_HISTOGRAMS": ["weight"]}
    histogram = Histogram("weight", "Weight.")
    try:
        histogram.observe(2)
        record_db_query("select", "other", 0.3)
        found = scraped()
    finally:
        REGISTRY.unregister(histogram)

    assert list(found.natives) == [("weight", frozenset())]


def test_a_namespace_does_not_change_the_name_in_the_setting(settings: Any):
    settings.TACHIKOMA_METRICS = {"NATIVE_HISTOGRAMS": [DURATION], "NAMESPACE": "shop"}
    record_db_query("select", "other", 0.25)

    assert scraped().native(f"shop_{DURATION}", operation="select").buckets == {-16: 1}


def test_short_durations_are_in_the_zero_bucket():
    for seconds in (0.0, 1e-7, 2.0**-20, 2.0**-1074, 1e-6):
        record_db_query("select", "other", seconds)

    found = scraped().native(DURATION, operation="select")

    assert (found.zero_threshold, found.zero_count, found.count) == (2**-20, 4, 5)
    assert found.buckets == {index_of(1e-6): 1}


def test_what_a_client_claims_to_send_takes_a_bounded_number_of_buckets():
    size = METRICS.http_request_size_bytes.labels("POST", "/")
    for exponent in range(1024):
        size.observe(2.0**exponent)

    found = scraped().native("http_request_size_bytes", method="POST", path="/")

    assert found.count == 1024
    assert len(found.buckets) == 49
    assert found.buckets[48 * 8] == 1024 - 48


def test_the_metrics_of_the_project_have_buckets_for_any_number(weight: Histogram):
    observed = [0.0, -0.0, 2.0**-1074, 1.0, -1.0, 1e308, -1e308, 2.0**-100, 7, True]
    for value in observed:
        weight.observe(value)

    found = scraped().native("weight")

    assert (found.count, found.zero_count) == (len(observed), 3)
    assert found.buckets == {0: 2, index_of(1e308): 1, -800: 1, index_of(7): 1}
    assert found.negative == {0: 1, index_of(1e308): 1}


def test_infinite_observations_are_beyond_the_largest_number(weight: Histogram):
    for value in (math.inf, -math.inf, sys.float_info.max):
        weight.observe(value)

    found = scraped().native("weight")

    assert found.count == 3
    assert found.buckets == {1024 * 8: 1, 1024 * 8 + 1: 1}
    assert found.negative == {1024 * 8 + 1: 1}
    assert math.isnan(found.sum)


def test_what_is_not_a_number_is_counted_and_in_no_bucket(weight: Histogram):
    weight.observe(1)
    weight.observe(math.nan)

    found = scraped().native("weight")

    assert (found.count, found.buckets, found.zero_count) == (2, {0: 1}, 0)
    assert math.isnan(found.sum)


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan, 10**300])
def test_our_own_histograms_count_what_a_project_observes(value: float):
    METRICS.execution_duration_seconds.labels("openai", "gpt").observe(value)

    found = scraped().native("execution_duration_seconds", backend="openai", model="gpt")

    assert found.count == 1


def test_what_cannot_be_added_is_raised_and_changes_nothing(weight: Histogram):
    weight.observe(1)
    for value in (10**400, "x", None):
        with pytest.raises((OverflowError, TypeError)):
            weight.observe(value)  # type: ignore[arg-type]

    assert scraped().native("weight").count == 1


def test_a_histogram_without_observations_is_native_from_the_first(weight: Histogram):
    METRICS.execution_duration_seconds.labels("openai", "gpt")

    found = scraped()

    for native in (
        found.native("weight"),
        found.native("execution_duration_seconds", backend="openai", model="gpt"),
    ):
        assert (native.count, native.buckets, native.sum) == (0, {}, 0.0)
        assert native.zero_threshold > 0


def test_a_removed_label_set_starts_at_zero():
    duration = METRICS.execution_duration_seconds
    duration.labels("openai", "gpt").observe(1)
    duration.remove("openai", "gpt")
    duration.labels("openai", "gpt").observe(2)

    found = scraped().native("execution_duration_seconds", backend="openai", model="gpt")

    assert (found.count, found.buckets, found.sum) == (1, {8: 1}, 2.0)


def test_a_metric_that_is_made_anew_starts_at_zero():
    for value in (1, 2):
        histogram = Histogram("weight", "Weight.")
        histogram.observe(value)
        found = scraped().native("weight")
        REGISTRY.unregister(histogram)

        assert (found.count, found.sum) == (1, value)


def test_label_sets_beyond_the_limit_are_counted_as_overflow(settings: Any):
    settings.TACHIKOMA_METRICS = {"NATIVE_HISTOGRAMS": True, "CARDINALITY_LIMIT": 3}
    for number in range(6):
        METRICS.execution_duration_seconds.labels("openai", f"gpt-{number}").observe(2.0**number)

    found = scraped()

    natives = {labels: one for (name, labels), one in found.natives.items() if "execution" in name}
    assert len(natives) == 3
    overflow = found.native("execution_duration_seconds", backend="overflow", model="overflow")
    assert overflow.buckets == {16: 1, 24: 1, 32: 1, 40: 1}
    # Blocks of buckets are no label sets.
    cardinality = "tachikoma_metrics_cardinality"
    assert sample_value(cardinality, family="execution_duration_seconds") == 3


def test_a_view_that_needs_more_labels_leaves_native_histograms_as_they_are(settings: Any):
    settings.TACHIKOMA_METRICS = {"NATIVE_HISTOGRAMS": True, "VIEWS": ["opentelemetry"]}
    duration = METRICS.http_request_duration_seconds
    duration.labels("GET", "/").observe(2)
    duration.labels("GET", "/").observe(4)

    found = scraped().native("http_request_duration_seconds", method="GET", path="/")

    assert (found.count, found.buckets, found.sum) == (2, {8: 1, 16: 1}, 6.0)


def test_a_scrape_shows_what_was_counted_since_the_last():
    for number in range(1, 200):
        record_db_query("select", "other", 1.07**number)
        if number % 7 == 0:
            record_db_query("insert", "other", number)

        found = scraped()

        assert found.native(DURATION, operation="select").count == number
        if number >= 7:
            assert found.native(DURATION, operation="insert").count == number // 7


def test_exemplars_stay_in_the_classic_buckets():
    duration = METRICS.execution_duration_seconds.labels("openai", "gpt")
    duration.observe(3, exemplar={"trace_id": "abc"})

    found = scraped()

    name = "execution_duration_seconds"
    exemplars = [
        bucket.exemplar.label[0].value
        for family in found.families
        for metric in family.metric
        for bucket in metric.histogram.bucket
        if bucket.HasField("exemplar")
    ]
    assert exemplars == ["abc"]
    assert found.native(name, backend="openai", model="gpt").buckets == {13: 1}
