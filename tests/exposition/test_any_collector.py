"""Whatever collectors yield, the rest of the exposition is valid."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import METRIC_TYPES, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample, Timestamp

from tachikoma_metrics.exposition import OPENMETRICS, PROTOBUF, TEXT, Format, gather
from tests.exposition.collectors import (
    FORMATS,
    Yielding,
    buckets,
    exposed,
    family,
    lines,
)
from tests.exposition.decoded import decode

# prometheus_client's strict reader does not understand quotes and braces in exemplars.
plain = st.text("ab.°_- \n\\é", max_size=6)
words = st.one_of(
    st.sampled_from(["own", "own_total", "own_count", "own.total", "le", "quantile", "", "x:y"]),
    plain,
)
odd: st.SearchStrategy[Any] = st.sampled_from(
    [None, "7", [], b"x", datetime.datetime(2026, 11, 30), 10**400, 1j]
)
numbers = st.one_of(st.floats(), st.integers(-2, 3), odd)
stamps = st.one_of(
    st.none(),
    st.none(),
    st.floats(),
    st.integers(-5, 5),
    st.builds(Timestamp, st.integers(-3, 3), st.integers(0, 10**9 - 1)),
    odd,
)
label_values = st.one_of(
    st.sampled_from(["0.5", "1", "+Inf", "inf", "NaN", "a"]), st.text(max_size=4), odd
)
label_sets = st.one_of(
    st.dictionaries(
        st.one_of(st.sampled_from(["le", "quantile", "own", "__name__", "a", "a.b", "a_b"]), plain),
        label_values,
        max_size=3,
    ),
    st.none(),
)
exemplars = st.one_of(
    st.none(),
    st.tuples(st.dictionaries(plain, plain, max_size=2), numbers, stamps).map(
        lambda parts: Exemplar(*parts)
    ),
    odd,
)
suffixes = st.sampled_from(
    ["", "_total", "_bucket", "_count", "_sum", "_gcount", "_gsum", "_info", "_created", "_max"]
)


@st.composite
def any_family(draw: Any) -> Any:
    """Return what a custom collector may yield."""
    metric = Metric("own", "Own.", "gauge")
    name = draw(words)
    metric.name = name if draw(st.booleans()) else "own"
    metric.type = draw(st.one_of(st.sampled_from([*METRIC_TYPES, "untyped"]), odd))
    metric.documentation = draw(st.one_of(st.text(max_size=5), st.none()))
    metric.unit = draw(st.one_of(words, st.sampled_from(["total", "x\n# EOF"]), st.none()))
    own = st.one_of(suffixes.map(lambda suffix: f"{metric.name}{suffix}"), words)
    parts = st.tuples(own, label_sets, numbers, stamps, exemplars)
    samples = parts.map(lambda part: Sample(*part))
    metric.samples = draw(st.lists(st.one_of(samples, samples, samples, odd), max_size=8))
    return metric


histograms = st.builds(
    lambda type, points, ends: family(
        "own",
        type,
        *(Sample("own_bucket", {"le": bound}, value) for bound, value in points),
        *(Sample(f"own{suffix}", {}, value) for suffix, value in ends),
    ),
    st.sampled_from(["histogram", "gaugehistogram"]),
    st.lists(
        st.tuples(st.sampled_from(["-1", "0", "1.0", "2", "+Inf", "inf"]), st.integers(0, 3)),
        max_size=5,
    ),
    st.lists(st.tuples(suffixes, st.integers(-2, 3)), max_size=4),
)


class Raising(Collector):
    def describe(self) -> Iterable[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        raise RuntimeError("no families today")


# More often than others, in each profile.
@settings(max_examples=3 * settings().max_examples)
@given(st.lists(st.one_of(any_family(), any_family(), histograms), max_size=4))
@example([family("own", "histogram", *buckets(("+Inf", 1), ("1", 1)))])
@example([family("own", "gauge", Sample("own", {"°": "1", "zone": "a"}, 1))])
def test_whatever_collectors_yield_the_exposition_is_valid(families: list[Any]):
    registry = CollectorRegistry()
    sources: list[str] = []
    Gauge("safe", "Safe.", registry=registry).set(1)
    for one in families:
        registry.register(Yielding(one))
    registry.register(Raising())

    for format in (TEXT, OPENMETRICS):
        found = gather(registry, lambda source, *_: sources.append(source))
        exposition = format.render(
            found, lambda source, *_: sources.append(source), {"env": "prod"}
        )

        assert lines(exposition, format)['safe{env="prod"}'] == 1
    found = gather(registry, lambda source, *_: sources.append(source))
    messages = PROTOBUF.render(found, lambda source, *_: sources.append(source), {"env": "prod"})
    assert decode(messages).value("safe", env="prod") == 1
    assert "collector" in sources


@pytest.mark.parametrize(
    "collector",
    [
        CounterMetricFamily("own", "Own.", value=2),
        InfoMetricFamily("own", "Own.", value={"a": "b"}),
        SummaryMetricFamily("own", "Own.", count_value=2, sum_value=3),
        HistogramMetricFamily("own", "Own.", buckets=[("1", 1), ("+Inf", 2)], sum_value=3),
        GaugeHistogramMetricFamily("own", "Own.", buckets=[("1", 1), ("+Inf", 2)], gsum_value=3),
    ],
    ids=lambda metric: metric.type,
)
@FORMATS
def test_valid_families_are_exposed_without_an_error(
    registry: CollectorRegistry, format: Format[str], collector: Metric
):
    shown, error_count = exposed(registry, format, collector)

    assert len(shown) == len(collector.samples)
    assert error_count == 0
