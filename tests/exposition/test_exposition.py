from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import prometheus_client
import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Enum, Gauge, Histogram, Info, Summary
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeHistogramMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    StateSetMetricFamily,
    UntypedMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics import exposition as stock_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tachikoma_metrics import METRICS, record_cache_hit, record_execution
from tachikoma_metrics.catalogue import OUTCOMES
from tachikoma_metrics.exposition import OPENMETRICS, TEXT, gather
from tachikoma_metrics.exposition.parse import parse_text
from tests.exposition.collectors import Yielding, errors


def render(registry: CollectorRegistry, format: Any = TEXT, **global_labels: str) -> str:
    def fail(source: str, error: Exception, about: object) -> None:
        raise AssertionError(f"error in {source}: {error!r}")

    exposition: str = format.render(gather(registry, fail), fail, global_labels)
    return exposition


@pytest.fixture
def stock() -> Iterator[CollectorRegistry]:
    """Lend a registry in which the oracle, too, leaves out ``_created``."""
    prometheus_client.disable_created_metrics()
    yield CollectorRegistry()
    prometheus_client.enable_created_metrics()


def every_kind_of_metric(registry: CollectorRegistry) -> None:
    Counter("jobs_total", "Jobs with \\ and \n in help.", ["queue"], registry=registry).labels(
        'a"b\\c\nd'
    ).inc(3, {"trace_id": "abc"})
    Gauge("temperature_celsius", "Degrees.", registry=registry).set(-math.inf)
    Gauge("not_a_number", "NaN.", registry=registry).set(math.nan)
    Histogram("work_seconds", "Seconds.", ["kind"], registry=registry).labels("größer 🚀").observe(
        1.5, {"trace_id": "xyz"}
    )
    Summary("answers_bytes", "Bytes.", unit="bytes", registry=registry).observe(2e21)
    Info("build", "Build.", registry=registry).info({"version": "1.2"})
    Enum("state", "State.", states=["on", "off"], registry=registry).state("off")
    registry.register(Yielding(UntypedMetricFamily("odd", "Odd.", value=1)))
    registry.register(Yielding(StateSetMetricFamily("flags", "Flags.", {"a": True, "b": False})))
    gaugehistogram = GaugeHistogramMetricFamily(
        "sizes_bytes", "Sizes.", buckets=[("1.0", 1), ("+Inf", 3)], gsum_value=7
    )
    registry.register(Yielding(gaugehistogram))
    histogram = HistogramMetricFamily(
        "old_seconds", "Old.", buckets=[("1.0", 1), ("+Inf", 3)], sum_value=7
    )
    registry.register(Yielding(histogram))
    stamped = GaugeMetricFamily("stamped", "Stamped.", labels=["b", "a"])
    stamped.add_metric(["1", "2"], 4, timestamp=1700000000.25)
    registry.register(Yielding(stamped))
    registry.set_target_info({"env": "prod"})


def test_text_equals_that_of_prometheus_client(stock: CollectorRegistry):
    every_kind_of_metric(stock)

    assert render(stock) == prometheus_client.generate_latest(stock).decode()


def test_openmetrics_equals_that_of_prometheus_client(stock: CollectorRegistry):
    every_kind_of_metric(stock)

    assert render(stock, OPENMETRICS) == stock_openmetrics.generate_latest(stock).decode()


def test_built_in_metrics_equal_those_that_prometheus_client_writes():
    for outcome in OUTCOMES:
        # Those that are initialized to zero are in the store alone.
        record_execution("openai", "gpt \ud800", outcome, 1.5, (3, 4))
    prometheus_client.disable_created_metrics()
    exposition = METRICS.encode()
    stock = prometheus_client.generate_latest(METRICS.registry).decode()
    prometheus_client.enable_created_metrics()

    def stable_lines(text: str) -> list[str]:
        """Return the lines whose values do not change between scrapes, sorted."""
        volatile = ("process_", "python_gc", "tachikoma_metrics_scrape_duration")
        lines = text.splitlines()
        return sorted(line for line in lines if not any(map(line.__contains__, volatile)))

    assert set(stable_lines(exposition)) <= set(stable_lines(stock))
    # Metrics that are not in use are omitted: their values are zero.
    left_out = [line for line in stable_lines(stock) if line not in stable_lines(exposition)]
    assert all(line.startswith("# ") or line.endswith(" 0.0") for line in left_out)


label_text = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    st.dictionaries(st.tuples(label_text, label_text), st.floats(min_value=0), max_size=5),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r")),
)
def test_any_labels_and_values_can_be_parsed_from_the_exposition(
    values: dict[tuple[str, str], float], documentation: str
):
    registry = CollectorRegistry()
    gauge = Gauge("things", documentation, ["one", "two"], registry=registry)
    for labels, value in values.items():
        gauge.labels(*labels).set(value)

    exposition = render(registry)

    parsed = {
        (sample.labels["one"], sample.labels["two"]): sample.value
        for family in text_string_to_metric_families(exposition)
        for sample in family.samples
    }
    assert repr(sorted(parsed.items())) == repr(sorted(values.items()))


def test_created_series_are_omitted_but_a_metric_with_such_a_name_is_not():
    registry = CollectorRegistry()
    Counter("jobs_total", "Jobs.", registry=registry).inc()
    Gauge("orders_created", "Orders created.", registry=registry).set(5)

    exposition = render(registry)

    assert "jobs_created" not in exposition
    assert "orders_created 5.0" in exposition


def test_invalid_names_are_made_valid_in_both_formats():
    registry = CollectorRegistry()
    Gauge("job:rate", "A colon is legal.", registry=registry).set(1)
    Gauge("3d.größe", "Not legal.", ["label.name"], registry=registry).labels("x").set(2)

    for format in (TEXT, OPENMETRICS):
        exposition = render(registry, format)
        assert "\njob:rate 1.0\n" in exposition
        assert '\n_d_gr__e{label_name="x"} 2.0\n' in exposition


@override_settings(TACHIKOMA_METRICS={"GLOBAL_LABELS": {"env": "prod", "zone": "größer"}})
def test_global_labels_are_on_every_sample():
    record_cache_hit()
    METRICS.http_requests_total.labels("GET", "/", "200").inc()

    samples = parse_text(METRICS.encode())

    assert len(samples) > 30
    assert all({("env", "prod"), ("zone", "größer")} <= labels for _, labels in samples)
    assert any(name.startswith("process_") for name, _ in samples)


def test_a_label_of_a_sample_takes_precedence_over_a_global_one():
    registry = CollectorRegistry()
    Gauge("things", "Things.", ["env"], registry=registry).labels("own").set(1)

    assert 'things{env="own",zone="a"} 1.0' in render(registry, env="global", zone="a")


@pytest.mark.parametrize("is_included", [True, False])
def test_process_metrics_are_exposed_unless_switched_off(is_included: bool):
    with override_settings(TACHIKOMA_METRICS={"INCLUDE_PROCESS_METRICS": is_included}):
        exposition = METRICS.encode()

    for name in ("process_cpu_seconds_total", "python_info", "python_gc_objects_collected_total"):
        assert (f"# TYPE {name}" in exposition) == is_included


# --- custom collectors ------------------------------------------------------


class Failing(Yielding):
    def collect(self) -> Iterable[Metric]:
        yield from self.families
        raise RuntimeError("database is down")


def test_what_a_collector_yields_before_it_raises_is_exposed(
    registry: CollectorRegistry, caplog: pytest.LogCaptureFixture
):
    registry.register(Failing(GaugeMetricFamily("before", "Before.", value=1)))
    registry.register(Yielding(GaugeMetricFamily("after", "After.", value=2)))

    first = METRICS.encode()
    second = METRICS.encode()

    assert "before 1.0" in first
    assert "after 2.0" in first
    assert errors(first) == {"collector": 1}
    assert errors(second) == {"collector": 2}
    assert caplog.text.count("Instrumentation error in collector") == 1
    assert "Failing" in caplog.text


def test_an_invalid_value_is_omitted_alone(registry: CollectorRegistry):
    family = GaugeMetricFamily("things", "Things.", labels=["kind"])
    family.add_metric(["good"], 1)
    family.add_metric(["bad"], "many")  # type: ignore[arg-type]
    registry.register(Yielding(family))

    exposition = METRICS.encode()

    assert 'things{kind="good"} 1.0' in exposition
    assert "bad" not in exposition
    assert errors(exposition) == {"render": 1}


def test_an_invalid_family_is_omitted_alone(registry: CollectorRegistry):
    registry.register(Yielding(GaugeMetricFamily("things", None, value=1)))  # type: ignore[arg-type]
    record_cache_hit()

    exposition = METRICS.encode()

    assert "cache_hits_total 1.0" in exposition
    assert errors(exposition) == {"render": 1}


def test_a_family_that_is_yielded_twice_is_exposed_once(registry: CollectorRegistry):
    for value in (1, 2):
        registry.register(Yielding(GaugeMetricFamily("things", "Things.", value=value)))

    exposition = METRICS.encode()

    assert exposition.count("# TYPE things gauge") == 1
    assert "things 1.0" in exposition
    assert errors(exposition) == {"duplicate": 1}


def test_labels_of_other_collectors_are_made_encodable(registry: CollectorRegistry):
    Counter("models_total", "Models.", ["model"], registry=registry).labels("gpt\ud800").inc()
    numbered = CounterMetricFamily("numbered", "Numbered.", labels=["number"])
    numbered.add_metric([7], 1)  # type: ignore[list-item]
    registry.register(Yielding(numbered))

    exposition = METRICS.encode()

    exposition.encode()
    assert 'models_total{model="gpt\ufffd"} 1.0' in exposition
    assert 'numbered_total{number="7"} 1.0' in exposition


LISTED = GaugeMetricFamily("listed", "Listed.")
LISTED.name = ["listed"]  # type: ignore[assignment]


@pytest.mark.parametrize("yielded", [None, "text", object(), LISTED])
def test_an_object_that_is_no_family_is_omitted_with_its_collector_alone(
    yielded: Any, registry: CollectorRegistry
):
    registry.register(Yielding(yielded))
    record_cache_hit()

    exposition = METRICS.encode()

    assert "cache_hits_total 1.0" in exposition
    assert errors(exposition) == {"collector": 1}


@pytest.mark.parametrize(
    ("first", "second", "line"),
    [
        (Gauge("q.r", "Own.", registry=None), Gauge("q_r", "Own.", registry=None), "q_r"),
        (Gauge("q_total", "Own.", registry=None), Counter("q", "Own.", registry=None), "q_total"),
    ],
)
def test_families_whose_exposed_names_are_equal_are_exposed_once(
    first: Collector, second: Collector, line: str, registry: CollectorRegistry
):
    for metric in (first, second):
        registry.register(Yielding(*metric.collect()))

    exposition = METRICS.encode()

    assert exposition.count(f"# TYPE {line} ") == 1
    assert errors(exposition) == {"duplicate": 1}


@pytest.mark.parametrize("names", [["a.b", "a_b"], [""]])
def test_a_sample_whose_label_names_become_equal_is_omitted(
    names: list[str], registry: CollectorRegistry
):
    family = GaugeMetricFamily("things", "Things.", labels=names)
    family.add_metric(["x"] * len(names), 1)
    registry.register(Yielding(family))

    exposition = METRICS.encode()

    assert "\nthings{" not in exposition
    assert errors(exposition) == {"render": 1}


@pytest.mark.parametrize(
    "family",
    [
        CounterMetricFamily("cache_hits", "Own.", value=9),
        GaugeMetricFamily("cache.hits.total", "Own.", value=9),
    ],
)
def test_a_family_of_a_custom_collector_replaces_a_built_in_one_of_its_name(
    family: Metric, registry: CollectorRegistry
):
    record_cache_hit()
    registry.register(Yielding(family))

    exposition = METRICS.encode()

    assert exposition.count("cache_hits_total 9.0") == 1
    assert exposition.count("cache_hits_total ") == 3
    assert "cache_misses_total 0.0" in exposition
    assert errors(exposition) == {"duplicate": 1}
