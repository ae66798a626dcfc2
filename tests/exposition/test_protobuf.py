"""The exposition in protobuf, as Google's library decodes it."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    StateSetMetricFamily,
    SummaryMetricFamily,
    UntypedMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Exemplar, Sample, Timestamp

from tachikoma_metrics import METRICS, record_cache_hit
from tachikoma_metrics.exposition import PROTOBUF, MergedMetric, gather, number
from tachikoma_metrics.exposition.families import PlainMetric
from tachikoma_metrics.store import Declaration, Family, Limit, Merger, Reading, Series
from tachikoma_metrics.store.layout import GAUGE_WIDTH
from tachikoma_metrics.store.limits import NO_LIMITS
from tachikoma_metrics.store.slot import MemorySlot
from tests.exposition.collectors import Yielding, buckets, family
from tests.exposition.decoded import Decoded, Key, decode
from tests.exposition.test_exposition import every_kind_of_metric


def render(families: Iterable[Metric], **global_labels: str) -> Decoded:
    def fail(source: str, error: Exception, about: object) -> None:
        raise AssertionError(f"error in {source}: {error!r}")

    return decode(PROTOBUF.render(families, fail, global_labels))


def of_registry(registry: CollectorRegistry, **global_labels: str) -> Decoded:
    def fail(source: str, error: Exception, about: object) -> None:
        raise AssertionError(f"error in {source}: {error!r}")

    return render(gather(registry, fail), **global_labels)


def of_stock(registry: CollectorRegistry) -> dict[Key, float]:
    """Return what prometheus_client says of a registry, without the series of starts."""
    return {
        (
            sample.name,
            frozenset(sample.labels.items()),
            None if sample.timestamp is None else round(float(sample.timestamp) * 1000),
        ): sample.value
        for metric in text_string_to_metric_families(generate_latest(registry).decode())
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


def comparable(samples: Mapping[Key, float]) -> dict[Key, str]:
    """Return values that are equal where they are NaN."""
    return {key: repr(float(value)) for key, value in samples.items()}


# --- values -------------------------------------------------------------------


def test_values_equal_those_of_prometheus_client():
    registry = CollectorRegistry()
    every_kind_of_metric(registry)

    decoded = of_registry(registry)

    assert comparable(decoded.samples) == comparable(of_stock(registry))
    types = {one.name: one.type for one in decoded.families}
    assert types == {
        "jobs_total": 0,
        "temperature_celsius": 1,
        "not_a_number": 1,
        "work_seconds": 4,
        "answers_bytes": 2,
        "build_info": 1,
        "state": 1,
        "odd": 3,
        "flags": 1,
        "sizes_bytes": 5,
        "old_seconds": 4,
        "stamped": 1,
        "target_info": 1,
    }
    jobs = decoded.family("jobs_total")
    assert jobs.help == "Jobs with \\ and \n in help."
    assert {one.name: one.unit for one in decoded.families if one.unit} == {
        "answers_bytes": "bytes"
    }


def test_the_values_of_all_metrics_equal_those_in_text():
    record_cache_hit()
    METRICS.http_request_duration_seconds.labels("GET", "/größer").observe(0.1)
    METRICS.http_requests_total.labels("GET", 'a"b\\c\nd', "200").inc(3)
    with override_settings(TACHIKOMA_METRICS={"GLOBAL_LABELS": {"env": "prod"}}):
        decoded = decode(METRICS.expose(PROTOBUF))
        text = METRICS.encode()

    expected: dict[Key, float] = {
        (sample.name, frozenset(sample.labels.items()), None): sample.value
        for metric in text_string_to_metric_families(text)
        for sample in metric.samples
    }
    volatile = ("process_", "python_gc", "tachikoma_metrics_scrape_duration")

    def stable(samples: Mapping[Key, float]) -> dict[Key, float]:
        return {key: value for key, value in samples.items() if not key[0].startswith(volatile)}

    assert stable(decoded.samples) == stable(expected)
    assert decoded.value("cache_hits_total", env="prod") == 1


texts = st.text(max_size=5)
encodable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=5)
totals = st.one_of(st.floats(min_value=0), st.integers(0, 2**70))
counts = st.lists(st.integers(0, 2**40), min_size=1, max_size=4)
stamps = st.one_of(
    st.none(),
    st.integers(-(10**6), 10**10),
    st.builds(Timestamp, st.integers(1, 10**10), st.integers(0, 999).map(lambda ms: ms * 10**6)),
)


@st.composite
def families(draw: Any) -> Metric:
    """Return a valid family of any type, with label sets that differ."""
    head = ("own_bytes", draw(encodable))
    unit = draw(st.sampled_from(["", "bytes"]))
    label_sets = draw(st.lists(st.tuples(encodable, encodable), max_size=3, unique=True))
    kind = draw(st.sampled_from([*ADD]))
    found: Metric = ADD[kind](*head, labels=["a", "b"], **({"unit": unit} if kind in UNITS else {}))
    # The samples of an info all have a time, or none.
    shared = draw(stamps)
    for labels in label_sets:
        stamp = shared if kind == "info" else draw(stamps)
        draw_samples(draw, kind, found, list(labels), stamp)
    return found


ADD: dict[str, Any] = {
    "counter": CounterMetricFamily,
    "gauge": GaugeMetricFamily,
    "unknown": UntypedMetricFamily,
    "summary": SummaryMetricFamily,
    "histogram": HistogramMetricFamily,
    "gaugehistogram": GaugeHistogramMetricFamily,
    "info": InfoMetricFamily,
    "stateset": StateSetMetricFamily,
}
UNITS = frozenset(ADD) - {"info", "stateset"}


def draw_samples(draw: Any, kind: str, found: Any, labels: list[str], stamp: Any) -> None:
    if kind in ("counter", "gauge", "unknown"):
        value = draw(totals if kind == "counter" else st.floats())
        found.add_metric(labels, value, timestamp=stamp)
    elif kind == "summary":
        found.add_metric(labels, draw(st.integers(0, 2**53)), draw(totals), timestamp=stamp)
        for quantile in draw(st.lists(st.floats(0, 1), max_size=2, unique=True)):
            more = {"a": labels[0], "b": labels[1], "quantile": repr(quantile + 0.0)}
            value = draw(st.one_of(st.just(math.nan), st.floats(min_value=0)))
            found.samples.append(Sample("own_bytes", more, value, stamp))
    elif kind in ("histogram", "gaugehistogram"):
        bounds = sorted(draw(st.sets(st.floats(0, allow_infinity=False), max_size=3)))
        below = draw(st.lists(st.integers(0, 2**50), min_size=4, max_size=4))
        points = [(number(bound), sum(below[: n + 1])) for n, bound in enumerate(bounds)]
        points.append(("+Inf", sum(below)))
        found.add_metric(labels, points, draw(totals), timestamp=stamp)
    elif kind == "info":
        found.add_metric(labels, {"c": draw(encodable)}, timestamp=stamp)
    else:
        states = draw(st.dictionaries(encodable, st.booleans(), min_size=1, max_size=3))
        found.add_metric(labels, states, timestamp=stamp)


@given(families())
def test_any_values_equal_those_of_prometheus_client(drawn: Metric):
    registry = CollectorRegistry()
    registry.register(Yielding(drawn))

    assert comparable(of_registry(registry).samples) == comparable(of_stock(registry))


def test_the_sum_of_a_histogram_without_one_is_not_a_number():
    registry = CollectorRegistry()
    Histogram("shifts", "Shifts.", buckets=[-1, 1], registry=registry).observe(-3)

    decoded = of_registry(registry)

    assert decoded.value("shifts_count") == 1
    assert math.isnan(decoded.value("shifts_sum"))


def test_the_count_of_a_histogram_without_one_is_that_of_its_last_bucket():
    decoded = render([family("own", "histogram", *buckets(("1.0", 1), ("+Inf", 3)))])

    assert decoded.value("own_count") == 3
    assert math.isnan(decoded.value("own_sum"))


def test_the_buckets_of_a_label_set_at_two_times_are_two_histograms():
    samples = [Sample("own_bucket", {"le": "+Inf"}, 1, stamp) for stamp in (10, 20)]

    decoded = render([family("own", "histogram", *samples)])

    assert [metric.timestamp_ms for metric in decoded.families[0].metric] == [10_000, 20_000]


def test_a_family_without_samples_is_omitted():
    assert render([GaugeMetricFamily("own", "Own.")]).families == []


def test_a_count_that_no_integer_can_hold_is_omitted_alone():
    errors: list[str] = []
    huge = [Sample("own_bucket", {"kind": "huge", "le": "+Inf"}, 2.0**64)]
    good = [Sample("own_bucket", {"kind": "good", "le": "+Inf"}, 1)]

    exposition = PROTOBUF.render(
        [family("own", "histogram", *huge, *good)], lambda source, *_: errors.append(source), {}
    )

    decoded = decode(exposition)
    assert decoded.value("own_count", kind="good") == 1
    assert len(decoded.families[0].metric) == 1
    assert errors == ["render"]


def test_a_label_named_le_gives_way_to_the_bounds():
    metric = family("own", "histogram", *buckets(("1.0", 1), ("+Inf", 1)))

    assert render([metric], le="global").value("own_bucket", le="1.0") == 1


# --- values of the store ------------------------------------------------------

DECLARATIONS = [
    Declaration("counter", "own", help="Own.", labels=("a", "b")),
    Declaration("gauge", "own", help="Own.", labels=("a", "b"), mode="livesum"),
    Declaration("summary", "own", help="Own.", labels=("a", "b")),
    Declaration("histogram", "own", labels=("a", "b"), bounds=(0.001, 1.0, math.inf)),
    Declaration("histogram", "own", labels=("a", "b"), bounds=(-1.0, 37.0, math.inf)),
    Declaration("histogram", "own", labels=("a", "le"), bounds=(1.0, math.inf)),
]


def written(slot: MemorySlot, series: Series, values: Iterable[float]) -> None:
    slot.place(series)
    slot.write(slot.records[series], list(values))


def stored(slots: Iterable[MemorySlot], **limits: Limit) -> list[MergedMetric]:
    """Return the metrics of several processes."""
    return [MergedMetric(one.declaration, [one]) for one in merged(slots, limits)]


def merged(slots: Iterable[MemorySlot], limits: Mapping[str, Limit] = NO_LIMITS) -> list[Family]:
    readings = [
        Reading(number, (0, slot.serial), *slot.copy(), is_held=True)
        for number, slot in enumerate(slots)
    ]
    return Merger().merge(readings, lambda error, about: pytest.fail(str(error)), limits)


@st.composite
def slots(draw: Any) -> list[MemorySlot]:
    """Return the values of one metric in two processes."""
    declaration = draw(st.sampled_from(DECLARATIONS))
    found = [MemorySlot(), MemorySlot()]
    for slot in found:
        for labels in draw(st.lists(st.tuples(texts, texts), max_size=3, unique=True)):
            if declaration.type == "gauge":
                values = [draw(st.floats()), 1.0, 0, 0, 0]
                assert len(values) == GAUGE_WIDTH
            else:
                odd = st.sampled_from([0.5, 2.0**60, 2.0**64, math.inf])
                whole = st.integers(0, 2**40).map(float)
                whole = st.one_of(whole, odd) if draw(st.booleans()) else whole
                values = [draw(whole) for _ in range(declaration.width)]
                places = {"counter": 0, "histogram": 0, "summary": 1}
                sums = st.one_of(st.floats(0, 1e300), st.sampled_from([math.nan, math.inf, -1.0]))
                values[places[declaration.type]] = draw(sums)
                if declaration.type == "counter":
                    values[0] = draw(st.floats(0))
            written(slot, Series(declaration, labels), values)
    return found


@given(slots(), st.sampled_from([{}, {"env": "prod"}, {"a": "%d"}]))
def test_remembered_messages_equal_those_that_are_written_one_by_one(
    drawn: list[MemorySlot], global_labels: dict[str, str]
):
    def exposed(metrics: Iterable[Metric]) -> tuple[Any, list[str]]:
        errors: list[str] = []
        exposition = PROTOBUF.render(
            metrics, lambda source, error, about: errors.append(str(error)), global_labels
        )
        decoded = decode(exposition)
        return (comparable(decoded.samples), decoded.starts), errors

    quick = stored(drawn)
    slow = [
        PlainMetric(one.name, one.documentation, one.type, one.unit, one.samples) for one in quick
    ]

    assert exposed(quick) == exposed(slow)


def test_counts_of_all_lengths_are_written():
    declaration = DECLARATIONS[3]
    slot = MemorySlot()
    for power in range(53):
        series = Series(declaration, (str(power), ""))
        written(slot, series, [0.5, 2.0**power - 1, 0, 2.0**power])

    decoded = render(stored([slot]))

    for power in range(53):
        assert decoded.value("own_count", a=str(power), b="") == 2 ** (power + 1) - 1


# --- starts -------------------------------------------------------------------


def test_samples_named_created_are_the_starts():
    registry = CollectorRegistry()
    before = time.time()
    Counter("jobs_total", "Jobs.", ["queue"], registry=registry).labels("a").inc()
    Histogram("work_seconds", "Work.", ["kind"], registry=registry).labels("b").observe(1)
    Summary("answers_bytes", "Answers.", registry=registry).observe(1)
    Gauge("orders_created", "Orders created.", registry=registry).set(5)

    decoded = of_registry(registry)

    assert len(decoded.starts) == 3
    assert all(before <= start + 1e-6 <= time.time() + 1e-5 for start in decoded.starts.values())
    assert decoded.start("work_seconds", kind="b") is not None
    assert decoded.value("orders_created") == 5
    assert [name for name, *_ in decoded.samples if "_created" in name] == ["orders_created"]


@pytest.mark.parametrize("start", [-1.0, math.nan, math.inf, 1e12])
def test_a_start_that_is_no_time_is_omitted_alone(start: float):
    errors: list[str] = []
    samples = [Sample("own_total", {}, 1), Sample("own_created", {}, start)]

    exposition = PROTOBUF.render(
        [family("own", "counter", *samples)], lambda source, *_: errors.append(source), {}
    )

    assert decode(exposition).value("own_total") == 1
    assert decode(exposition).starts == {}
    assert errors == ["render"]


def test_the_start_of_a_total_is_the_earliest_of_all_processes():
    for declaration, name in ((DECLARATIONS[0], "own_total"), (DECLARATIONS[3], "own")):
        slots = [made_at(moment, declaration=declaration) for moment in (3.5, 2.5)]

        assert after_boot(render(stored(slots)).start(name, a="0", b="0")) == 2.5


def made_at(*moments: float, declaration: Declaration) -> MemorySlot:
    """Return the values of a process that made label sets at these times."""
    slot = MemorySlot()
    for place, moment in enumerate(moments):
        series = Series(declaration, tuple(str(place) for _ in declaration.labels))
        slot.place(series, moment)
    return slot


def after_boot(start: float | None) -> float:
    """Return a start in seconds by the clock of the records."""
    assert start is not None
    return round(start - (time.time() - time.monotonic()), 1)


def test_the_start_of_overflow_is_the_earliest_of_what_is_added_up_in_it():
    declaration = Declaration("counter", "own", labels=("a",), is_builtin=True)
    slot = made_at(1.0, 2.0, 5.0, 3.0, 4.0, declaration=declaration)

    decoded = render(stored([slot], own=Limit(3)))

    assert after_boot(decoded.start("own_total", a="overflow")) == 3.0
    assert after_boot(decoded.start("own_total", a="0")) == 1.0


def test_the_start_of_a_counter_of_what_was_lost_is_that_of_its_gauge():
    declaration = Declaration("gauge", "own", mode="livesum", is_builtin=True, lost="own_lost")

    decoded = render(stored([made_at(2.5, declaration=declaration)]))

    assert after_boot(decoded.start("own_lost_total")) == 2.5


def test_the_start_is_the_earliest_of_processes_that_disagree_on_buckets():
    declarations = [
        Declaration("histogram", "own", labels=("a",), bounds=(bound, math.inf))
        for bound in (1.0, 2.0)
    ]
    slots = [
        made_at(moment, declaration=declaration)
        for moment, declaration in zip((4.5, 3.5), declarations, strict=True)
    ]

    decoded = render([MergedMetric(declarations[0], merged(slots))])

    assert after_boot(decoded.start("own", a="0")) == 3.5
    assert decoded.value("own_count", a="0") == 0


def test_what_was_initialized_to_zero_has_no_start_before_it_is_counted():
    slot = MemorySlot()
    series = Series(DECLARATIONS[0], ("x", "y"))
    slot.place(series, math.inf)
    assert render(stored([slot])).starts == {}

    slot.place(series)
    assert len(render(stored([slot])).starts) == 1


def test_a_start_that_cannot_be_is_none():
    moments = [-1.0, math.nan, time.monotonic() + 3600, -math.inf]

    assert render(stored([made_at(*moments, declaration=DECLARATIONS[0])])).starts == {}


def test_built_in_metrics_have_a_start():
    before = time.time()
    record_cache_hit()

    first = decode(METRICS.expose(PROTOBUF)).start("cache_hits_total")
    record_cache_hit()
    second = decode(METRICS.expose(PROTOBUF)).start("cache_hits_total")

    assert first is not None
    assert before - 0.01 <= first <= time.time() + 0.01
    assert first == second


def test_names_select_values_with_their_starts():
    record_cache_hit()
    METRICS.http_request_duration_seconds.labels("GET", "/").observe(0.1)
    names = {"cache_hits_total", "http_request_duration_seconds_bucket"}

    decoded = decode(METRICS.expose(PROTOBUF, frozenset(names)))

    assert {one.name for one in decoded.families} == {
        "cache_hits_total",
        "http_request_duration_seconds",
    }
    assert len(decoded.starts) == 2


def test_views_have_the_starts_of_their_sources():
    with override_settings(TACHIKOMA_METRICS={"VIEWS": ["opentelemetry"]}):
        METRICS.http_request_duration_seconds.labels("GET", "/").observe(0.1)
        decoded = decode(METRICS.expose(PROTOBUF))

    found = {name: start for (name, _), start in decoded.starts.items() if "http_" in name}
    assert found["http_server_request_duration_seconds"] == found["http_request_duration_seconds"]


def test_text_has_no_starts():
    record_cache_hit()

    assert "_created" not in METRICS.encode()


# --- exemplars ----------------------------------------------------------------

TRACE = Exemplar({"trace_id": "größer"}, 0.5, 1700000000.25)


def test_counters_and_buckets_have_their_exemplars():
    counted = [Sample("jobs_total", {}, 3, None, TRACE)]
    bounds = [Sample("own_bucket", {"le": "1.0"}, 1, None, TRACE._replace(timestamp=None))]
    decoded = render(
        [
            family("jobs", "counter", *counted),
            family("own", "histogram", *bounds, *buckets(("+Inf", 3))),
        ]
    )

    jobs, own = (one.metric[0] for one in decoded.families)
    found = [jobs.counter.exemplar, own.histogram.bucket[0].exemplar]
    for exemplar in found:
        assert [(one.name, one.value) for one in exemplar.label] == [("trace_id", "größer")]
        assert exemplar.value == 0.5
    assert (found[0].timestamp.seconds, found[0].timestamp.nanos) == (1700000000, 250_000_000)
    assert not found[1].HasField("timestamp")
    assert not own.histogram.bucket[1].HasField("exemplar")


@pytest.mark.parametrize(
    "bad",
    [
        TRACE._replace(labels={"trace_id": "x" * 200}),
        TRACE._replace(labels={"": "x"}),
        TRACE._replace(value="much"),  # type: ignore[arg-type]
        TRACE._replace(timestamp=math.nan),
        "an exemplar",
    ],
)
def test_an_invalid_exemplar_is_omitted_alone(bad: Any):
    errors: list[str] = []
    samples = [Sample("own_total", {}, 3, None, bad)]

    exposition = PROTOBUF.render(
        [family("own", "counter", *samples)], lambda source, *_: errors.append(source), {}
    )

    assert decode(exposition).value("own_total") == 3
    assert not decode(exposition).families[0].metric[0].counter.HasField("exemplar")
    assert errors == ["render"]


def test_built_in_metrics_have_exemplars_of_this_process():
    METRICS.http_request_duration_seconds.labels("GET", "/").observe(0.02, {"trace_id": "abc"})

    decoded = decode(METRICS.expose(PROTOBUF))

    (metric,) = decoded.family("http_request_duration_seconds").metric
    found = [one.exemplar for one in metric.histogram.bucket if one.HasField("exemplar")]
    assert [(one.label[0].value, one.value) for one in found] == [("abc", 0.02)]
    assert metric.histogram.HasField("start_timestamp")


# --- errors -------------------------------------------------------------------


def test_the_last_resort_is_the_number_of_errors():
    decoded = decode(METRICS.last_resort(PROTOBUF))

    assert decoded.value("tachikoma_metrics_errors_total", source="page") >= 0


def test_lone_surrogates_are_replaced(registry: CollectorRegistry):
    Counter("models_total", "Models \ud800.", ["model"], registry=registry).labels(
        "gpt\ud800"
    ).inc()

    assert decode(METRICS.expose(PROTOBUF)).value("models_total", model="gpt\ufffd") == 1
