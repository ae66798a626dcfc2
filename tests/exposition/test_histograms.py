"""Invalid buckets, counts and sums are omitted alone."""

from __future__ import annotations

import math
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, Summary
from prometheus_client.samples import Sample

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import OPENMETRICS, TEXT, Format
from tachikoma_metrics.testing import sample_value
from tests.exposition.collectors import (
    FORMATS,
    buckets,
    exposed,
    family,
    lines,
)


@FORMATS
@pytest.mark.parametrize(
    ("bad", "kept"),
    [
        ([("1.0", 1), ("nan", 1), ("+Inf", 2)], ["1.0", "+Inf"]),
        ([("5.0", 2), ("1.0", 1), ("+Inf", 2)], ["5.0", "+Inf"]),
        ([("1.0", 1), ("1.0", 1), ("+Inf", 2)], ["1.0", "+Inf"]),
        ([("1.0", 3), ("2.0", 1), ("+Inf", 3)], ["1.0", "+Inf"]),
        ([("1.0", 1), ("2.0", 1.5), ("+Inf", 2)], ["1.0", "+Inf"]),
        ([("1.0", 1), ("many", 1), ("+Inf", 2)], ["1.0", "+Inf"]),
    ],
)
def test_a_bucket_that_does_not_increase_is_omitted_alone(
    registry: CollectorRegistry, format: Format[str], bad: Any, kept: list[str]
):
    shown, error_count = exposed(registry, format, family("own", "histogram", *buckets(*bad)))

    assert list(shown) == [f'own_bucket{{le="{bound}"}}' for bound in kept]
    assert error_count == 1


@FORMATS
def test_a_histogram_without_its_last_bucket_is_omitted_alone(
    registry: CollectorRegistry, format: Format[str]
):
    samples = [
        *buckets(("1.0", 1), kind="bad"),
        Sample("own_count", {"kind": "bad"}, 1),
        *buckets(("+Inf", 1), kind="good"),
    ]
    shown, error_count = exposed(registry, format, family("own", "histogram", *samples))

    assert shown == {'own_bucket{kind="good",le="+Inf"}': 1.0}
    assert error_count == 1


@FORMATS
@pytest.mark.parametrize(("count", "total"), [(3, 1), (2, math.nan), (2, -1)])
def test_a_count_or_a_sum_that_does_not_fit_is_omitted_alone(
    registry: CollectorRegistry, format: Format[str], count: float, total: float
):
    ends = Sample("own_count", {}, count), Sample("own_sum", {}, total)
    samples = [*buckets(("1.0", 1), ("+Inf", 2)), *ends]
    shown, error_count = exposed(registry, format, family("own", "histogram", *samples))

    assert shown['own_bucket{le="+Inf"}'] == 2
    assert "own_sum" not in shown
    assert error_count >= 1


def test_the_infinite_bound_is_written_as_the_formats_require(registry: CollectorRegistry):
    samples = buckets((1, 1), (math.inf, 2))
    shown, error_count = exposed(registry, OPENMETRICS, family("own", "histogram", *samples))

    assert shown == {'own_bucket{le="1"}': 1.0, 'own_bucket{le="+Inf"}': 2.0}
    assert error_count == 0


@FORMATS
def test_histograms_of_negative_observations_never_make_the_exposition_invalid(
    registry: CollectorRegistry, format: Format[str]
):
    Histogram("own", "Degrees.", buckets=[-10, 0, 10], registry=registry).observe(-5)
    shown = lines(METRICS.expose(format), format)

    assert shown['own_bucket{le="0.0"}'] == 1
    # OpenMetrics has a count only beside a sum, which is no total where it may fall.
    assert ("own_count" in shown) == (format is TEXT)
    assert "own_sum" not in shown


@FORMATS
@pytest.mark.parametrize("bounds", [[1, 1, 2], [1, math.nan, 2]])
def test_invalid_bounds_of_custom_histograms_are_omitted_alone(
    registry: CollectorRegistry, format: Format[str], bounds: list[float]
):
    Histogram("own", "Odd.", buckets=bounds, registry=registry).observe(1.5)
    shown = lines(METRICS.expose(format), format)

    assert shown['own_bucket{le="2.0"}'] == shown["own_count"] == 1


@FORMATS
def test_invalid_totals_of_custom_metrics_are_omitted_alone(
    registry: CollectorRegistry, format: Format[str]
):
    counter = Counter("own_jobs", "Jobs.", ["kind"], registry=registry)
    counter.labels("bad").inc(math.nan)
    counter.labels("good").inc(2)
    Summary("own_change", "Change.", registry=registry).observe(-5)
    Histogram("own_seconds", "Seconds.", buckets=[1], registry=registry).observe(math.nan)
    shown = lines(METRICS.expose(format), format)

    assert shown['own_jobs_total{kind="good"}'] == 2
    # What other processes counted of it would be shown.
    assert shown['own_jobs_total{kind="bad"}'] == 0
    assert shown["own_change_count"] == 1
    assert "own_change_sum" not in shown
    assert (sample_value("tachikoma_metrics_errors_total", source="render") or 0) >= 2
