"""What no format allows costs itself alone, and what is left can be read by anybody."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.metrics_core import METRIC_TYPES, Metric
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar, Sample, Timestamp

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import OPENMETRICS, TEXT, Format, gather
from tachikoma_metrics.testing import sample_value
from tests.exposition import strict
from tests.exposition.test_exposition import Yielding

FORMATS = pytest.mark.parametrize("format", [TEXT, OPENMETRICS], ids=["text", "openmetrics"])
Lines = dict[str, float]


def lines(page: str, format: Format) -> Lines:
    """Return the samples of a page that a strict reader takes, as they are written."""
    strict.read(page, format)
    samples = [line.partition(" # ")[0] for line in page.split("\n") if line[:1] not in ("#", "")]
    found: Lines = {}
    for line in samples:
        series, _, rest = line.rpartition("} ") if "} " in line else line.partition(" ")
        found[series + "}" * ("} " in line)] = float(rest.split(" ")[0])
    return found


def page_of(registry: CollectorRegistry, format: Format, *families: Any) -> tuple[Lines, float]:
    """Return what is shown of families beside ours, and the number of faults."""
    registry.register(Yielding(*families))
    page = METRICS.expose(format)
    shown = lines(page, format)
    assert "tachikoma_metrics_processes" in shown
    faults = sum(
        value for name, value in shown.items() if name.startswith("tachikoma_metrics_errors_total")
    )
    own = {name: value for name, value in shown.items() if name.startswith("own")}
    return own, faults


def family(name: str, type: str, *samples: Sample, unit: str = "") -> Metric:
    metric = Metric(name, "Own.", type)
    metric.unit = unit
    metric.samples = list(samples)
    return metric


GOOD = Sample("own", {"kind": "good"}, 1)
SHOWN = {'own{kind="good"}': 1.0}


@FORMATS
@pytest.mark.parametrize(
    "bad",
    [
        Sample("own", {}, 1, datetime.datetime(2026, 11, 30)),  # type: ignore[arg-type]
        Sample("own", {}, 1, "2026-11-30T01:02:03Z"),  # type: ignore[arg-type]
        Sample("own", {}, 1, math.nan),
        Sample("own", {}, 1, math.inf),
        Sample("own", {}, 1, 1e300),
        Sample("own", {"__name__": "up"}, 1),
        Sample("own", {"..name": "up"}, 1),
        Sample("own", {"": "up"}, 1),
        Sample("own", {7: "up"}, 1),  # type: ignore[dict-item]
        Sample("own", None, 1),  # type: ignore[arg-type]
        Sample("own", {}, None),  # type: ignore[arg-type]
        Sample("", {}, 1),
        Sample(None, {}, 1),  # type: ignore[arg-type]
        ("own", {}, 1),
        None,
    ],
    ids=repr,
)
def test_a_bad_sample_costs_itself_alone(registry: CollectorRegistry, format: Format, bad: Any):
    shown, faults = page_of(registry, format, family("own", "gauge", GOOD, bad))

    assert shown == SHOWN
    assert faults == 1


@FORMATS
@pytest.mark.parametrize(
    ("type", "bad"),
    [
        ("counter", Sample("own_total", {"kind": "bad"}, -1)),
        ("counter", Sample("own_total", {"kind": "bad"}, math.nan)),
        ("info", Sample("own_info", {"kind": "bad"}, 2)),
        ("stateset", Sample("own", {"own": "bad"}, 2)),
        ("stateset", Sample("own", {"kind": "bad"}, 1)),
        ("summary", Sample("own", {"kind": "bad"}, 2)),
        ("summary", Sample("own", {"quantile": "1.5"}, 2)),
        ("summary", Sample("own", {"quantile": "many"}, 2)),
        ("summary", Sample("own", {"quantile": "0.5"}, -2)),
        ("summary", Sample("own_count", {}, 1.5)),
        ("summary", Sample("own_sum", {}, math.nan)),
        ("histogram", Sample("own_bucket", {"kind": "bad"}, 2)),
        ("gaugehistogram", Sample("own_gcount", {}, -1)),
    ],
)
def test_a_sample_that_its_type_does_not_allow_costs_itself_alone(
    registry: CollectorRegistry, format: Format, type: str, bad: Sample
):
    good = GaugeMetricFamily("own_other", "Own.", value=5)
    shown, faults = page_of(registry, format, family("own", type, bad), good)

    assert shown == {"own_other": 5.0}
    assert faults == 1


NAMELESS = family("own", "gauge", Sample("own", {}, 1))
NAMELESS.name = ""
STALE = family("own", "gauge", Sample("own", {}, 1))
STALE.type = "stale"
UNTYPED = family("own", "gauge", GOOD)
UNTYPED.type = ["gauge"]  # type: ignore[assignment]


@FORMATS
@pytest.mark.parametrize("bad", [NAMELESS, STALE, UNTYPED], ids=["name", "type", "list"])
def test_a_family_without_a_name_or_a_type_costs_itself_alone(
    registry: CollectorRegistry, format: Format, bad: Metric
):
    shown, faults = page_of(registry, format, bad, family("own", "gauge", GOOD))

    assert shown == SHOWN
    assert faults == 1


@pytest.mark.parametrize("unit", ["m/s", "%", "°C", "By.s", "a b", "x\nown 7", "seconds", 5, None])
def test_a_unit_that_the_name_does_not_end_in_is_left_out(registry: CollectorRegistry, unit: Any):
    registry.register(Yielding(family("own", "gauge", GOOD, unit=unit)))
    page = METRICS.expose(OPENMETRICS)

    assert lines(page, OPENMETRICS).items() >= SHOWN.items()
    assert "# UNIT own " not in page
    assert "tachikoma_metrics_errors_total{" not in page


def test_units_of_the_projects_own_metrics_never_cost_the_page(registry: CollectorRegistry):
    Gauge("own_wind", "Speed.", unit="m/s", registry=registry).set(3)
    Histogram("own_load", "Share.", unit="%", registry=registry).observe(3)
    Counter("own_energy", "Energy.", unit="Wh", registry=registry).inc()
    page = METRICS.expose(OPENMETRICS)

    shown = lines(page, OPENMETRICS)
    assert shown["own_wind_m_s"] == 3
    assert shown["own_load___count"] == 1
    assert "# UNIT own_energy_Wh Wh\n" in page
    assert page.count("# UNIT own") == 1


@pytest.mark.parametrize("type", ["info", "stateset"])
def test_a_type_that_has_no_units_is_written_without(registry: CollectorRegistry, type: str):
    registry.register(Yielding(family("own_seconds", type, unit="seconds")))
    page = METRICS.expose(OPENMETRICS)

    strict.read(page, OPENMETRICS)
    assert "# UNIT own" not in page


@pytest.mark.parametrize(
    "exemplar",
    [
        Exemplar({"trace_id": "a"}, 1, datetime.datetime(2026, 11, 30)),  # type: ignore[arg-type]
        Exemplar({"trace_id": "a"}, "many"),  # type: ignore[arg-type]
        Exemplar({"trace_id": "a" * 200}, 1),
        Exemplar({"__name__": "a"}, 1),
        Exemplar(None, 1),  # type: ignore[arg-type]
        "trace",
    ],
    ids=repr,
)
def test_a_bad_exemplar_costs_itself_alone(registry: CollectorRegistry, exemplar: Any):
    sample = Sample("own_total", {}, 1, None, exemplar)
    shown, faults = page_of(registry, OPENMETRICS, family("own", "counter", sample))

    assert shown == {"own_total": 1.0}
    assert faults == 1


@FORMATS
def test_an_exemplar_where_none_is_allowed_costs_itself_alone(
    registry: CollectorRegistry, format: Format
):
    sample = Sample("own", {}, 1, None, Exemplar({"trace_id": "a"}, 1))
    shown, faults = page_of(registry, format, family("own", "gauge", sample))

    assert shown == {"own": 1.0}
    assert faults == (format is OPENMETRICS)


@pytest.mark.parametrize(
    ("timestamp", "written"),
    [
        (1700000000, "1700000000"),
        (1700000000.25, "1700000000.25"),
        (0.00001, "0.000010000"),
        (-0.5, "-0.5"),
        (Timestamp(1700000000, 5), "1700000000.000000005"),
        (Timestamp(-1, 500_000_000), "-1.5"),
        (True, "1"),
    ],
)
def test_timestamps_are_written_so_that_strict_readers_take_them(
    registry: CollectorRegistry, timestamp: Any, written: str
):
    registry.register(Yielding(family("own", "gauge", Sample("own", {}, 1, timestamp))))
    page = METRICS.expose(OPENMETRICS)

    strict.read(page, OPENMETRICS)
    assert f"\nown 1.0 {written}\n" in page


# --- histograms -------------------------------------------------------------


def buckets(*pairs: tuple[Any, float], **labels: str) -> list[Sample]:
    return [Sample("own_bucket", {**labels, "le": bound}, value) for bound, value in pairs]


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
def test_a_bucket_that_does_not_rise_costs_itself_alone(
    registry: CollectorRegistry, format: Format, bad: Any, kept: list[str]
):
    shown, faults = page_of(registry, format, family("own", "histogram", *buckets(*bad)))

    assert list(shown) == [f'own_bucket{{le="{bound}"}}' for bound in kept]
    assert faults == 1


@FORMATS
def test_a_histogram_without_its_last_bucket_costs_its_label_set_alone(
    registry: CollectorRegistry, format: Format
):
    samples = [
        *buckets(("1.0", 1), kind="bad"),
        Sample("own_count", {"kind": "bad"}, 1),
        *buckets(("+Inf", 1), kind="good"),
    ]
    shown, faults = page_of(registry, format, family("own", "histogram", *samples))

    assert shown == {'own_bucket{kind="good",le="+Inf"}': 1.0}
    assert faults == 1


@FORMATS
@pytest.mark.parametrize(("count", "total"), [(3, 1), (2, math.nan), (2, -1)])
def test_a_count_or_a_sum_that_does_not_fit_costs_no_bucket(
    registry: CollectorRegistry, format: Format, count: float, total: float
):
    ends = Sample("own_count", {}, count), Sample("own_sum", {}, total)
    samples = [*buckets(("1.0", 1), ("+Inf", 2)), *ends]
    shown, faults = page_of(registry, format, family("own", "histogram", *samples))

    assert shown['own_bucket{le="+Inf"}'] == 2
    assert "own_sum" not in shown
    assert faults >= 1


def test_the_infinite_bound_is_written_as_the_formats_have_it(registry: CollectorRegistry):
    samples = buckets((1, 1), (math.inf, 2))
    shown, faults = page_of(registry, OPENMETRICS, family("own", "histogram", *samples))

    assert shown == {'own_bucket{le="1"}': 1.0, 'own_bucket{le="+Inf"}': 2.0}
    assert faults == 0


@FORMATS
def test_histograms_of_negative_observations_never_cost_the_page(
    registry: CollectorRegistry, format: Format
):
    Histogram("own", "Degrees.", buckets=[-10, 0, 10], registry=registry).observe(-5)
    shown = lines(METRICS.expose(format), format)

    assert shown['own_bucket{le="0.0"}'] == 1
    # OpenMetrics has a count only beside a sum, which is no total where it may fall.
    assert ("own_count" in shown) == (format is TEXT)
    assert "own_sum" not in shown


@FORMATS
@pytest.mark.parametrize("bounds", [[1, 1, 2], [1, math.nan, 2]])
def test_odd_bounds_of_the_projects_own_cost_themselves_alone(
    registry: CollectorRegistry, format: Format, bounds: list[float]
):
    Histogram("own", "Odd.", buckets=bounds, registry=registry).observe(1.5)
    shown = lines(METRICS.expose(format), format)

    assert shown['own_bucket{le="2.0"}'] == shown["own_count"] == 1


@FORMATS
def test_totals_of_the_projects_own_that_are_no_numbers_cost_themselves_alone(
    registry: CollectorRegistry, format: Format
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


# --- families in pieces -----------------------------------------------------


def piece(state: str, value: float, type: Any = GaugeMetricFamily) -> Metric:
    metric: Metric = type("own", "Own.", labels=["state"])
    metric.add_metric([state], value)  # type: ignore[attr-defined]
    return metric


@FORMATS
def test_a_family_in_pieces_is_shown_whole(registry: CollectorRegistry, format: Format):
    shown, faults = page_of(registry, format, piece("done", 7), piece("paused", 3))

    assert shown == {'own{state="done"}': 7.0, 'own{state="paused"}': 3.0}
    assert faults == 0


@FORMATS
def test_one_family_of_two_collectors_is_shown_whole(registry: CollectorRegistry, format: Format):
    registry.register(Yielding(piece("done", 7), GaugeMetricFamily("own_other", "Own.", value=1)))
    shown, faults = page_of(registry, format, piece("paused", 3))

    assert list(shown) == ['own{state="done"}', 'own{state="paused"}', "own_other"]
    assert faults == 0


@FORMATS
def test_a_collector_may_add_to_a_metric_of_the_project(
    registry: CollectorRegistry, format: Format
):
    Gauge("own", "Own.", ["state"], registry=registry).labels("done").set(7)
    shown, faults = page_of(registry, format, piece("paused", 3))

    assert shown == {'own{state="done"}': 7.0, 'own{state="paused"}': 3.0}
    assert faults == 0


@FORMATS
def test_a_label_set_that_is_in_two_pieces_is_shown_once(
    registry: CollectorRegistry, format: Format
):
    shown, faults = page_of(registry, format, piece("done", 7), piece("done", 3))

    assert shown == {'own{state="done"}': 7.0}
    assert faults == 1
    assert sample_value("tachikoma_metrics_errors_total", source="duplicate") == 2


@FORMATS
def test_a_family_of_another_type_is_left_out(registry: CollectorRegistry, format: Format):
    other = family("own", "unknown", Sample("own", {"state": "paused"}, 3))
    shown, faults = page_of(registry, format, piece("done", 7), other)

    assert shown == {'own{state="done"}': 7.0}
    assert faults == 1


@FORMATS
@pytest.mark.parametrize(
    ("type", "names"),
    [
        ("counter", ["own"]),
        ("gauge", ["own", "own_max"]),
        ("summary", ["own_min", "own_count"]),
        ("info", ["own"]),
    ],
)
def test_samples_of_other_names_are_shown_beside_their_family(
    registry: CollectorRegistry, format: Format, type: str, names: list[str]
):
    samples = [Sample(name, {}, 1) for name in names]
    shown, faults = page_of(registry, format, family("own", type, *samples))

    assert shown == dict.fromkeys(names, 1.0)
    assert faults == 0


@FORMATS
def test_a_counter_that_is_named_with_its_suffix_is_a_counter(
    registry: CollectorRegistry, format: Format
):
    registry.register(Yielding(family("own_total", "counter", Sample("own_total", {}, 1))))
    page = METRICS.expose(format)

    assert lines(page, format)["own_total"] == 1
    head = "own_total" if format is TEXT else "own"
    assert f"# TYPE {head} counter\n" in page


def test_names_keep_the_whole_of_a_family_in_pieces(registry: CollectorRegistry):
    registry.register(Yielding(piece("done", 7), piece("paused", 3)))
    page = METRICS.expose(TEXT, frozenset({"own"}))

    assert lines(page, TEXT).keys() >= {'own{state="done"}', 'own{state="paused"}'}


# --- anything ---------------------------------------------------------------

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
def test_whatever_collectors_yield_never_costs_the_page(families: list[Any]):
    registry = CollectorRegistry()
    faults: list[str] = []
    Gauge("safe", "Safe.", registry=registry).set(1)
    for one in families:
        registry.register(Yielding(one))
    registry.register(Raising())

    for format in (TEXT, OPENMETRICS):
        found = gather(registry, lambda source, *_: faults.append(source))
        page = format.render(found, lambda source, *_: faults.append(source), {"env": "prod"})

        assert lines(page, format)['safe{env="prod"}'] == 1
    assert "collector" in faults


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
def test_sound_families_are_shown_without_a_fault(
    registry: CollectorRegistry, format: Format, collector: Metric
):
    shown, faults = page_of(registry, format, collector)

    assert len(shown) == len(collector.samples)
    assert faults == 0
