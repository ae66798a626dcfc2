"""Families that several objects or several collectors yield are exposed once."""

from __future__ import annotations

from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.core import (
    GaugeMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Sample

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import TEXT, Format
from tachikoma_metrics.testing import sample_value
from tests.exposition.collectors import (
    FORMATS,
    Yielding,
    exposed,
    family,
    lines,
)


def piece(state: str, value: float, type: Any = GaugeMetricFamily) -> Metric:
    metric: Metric = type("own", "Own.", labels=["state"])
    metric.add_metric([state], value)  # type: ignore[attr-defined]
    return metric


@FORMATS
def test_a_family_in_pieces_is_exposed_as_one(registry: CollectorRegistry, format: Format[str]):
    shown, error_count = exposed(registry, format, piece("done", 7), piece("paused", 3))

    assert shown == {'own{state="done"}': 7.0, 'own{state="paused"}': 3.0}
    assert error_count == 0


@FORMATS
def test_one_family_of_two_collectors_is_exposed_as_one(
    registry: CollectorRegistry, format: Format[str]
):
    registry.register(Yielding(piece("done", 7), GaugeMetricFamily("own_other", "Own.", value=1)))
    shown, error_count = exposed(registry, format, piece("paused", 3))

    assert list(shown) == ['own{state="done"}', 'own{state="paused"}', "own_other"]
    assert error_count == 0


@FORMATS
def test_a_collector_may_add_to_a_metric_of_the_project(
    registry: CollectorRegistry, format: Format[str]
):
    Gauge("own", "Own.", ["state"], registry=registry).labels("done").set(7)
    shown, error_count = exposed(registry, format, piece("paused", 3))

    assert shown == {'own{state="done"}': 7.0, 'own{state="paused"}': 3.0}
    assert error_count == 0


@FORMATS
def test_a_label_set_that_is_in_two_pieces_is_exposed_once(
    registry: CollectorRegistry, format: Format[str]
):
    shown, error_count = exposed(registry, format, piece("done", 7), piece("done", 3))

    assert shown == {'own{state="done"}': 7.0}
    assert error_count == 1
    assert sample_value("tachikoma_metrics_errors_total", source="duplicate") == 2


@FORMATS
def test_a_family_of_another_type_is_omitted(registry: CollectorRegistry, format: Format[str]):
    other = family("own", "unknown", Sample("own", {"state": "paused"}, 3))
    shown, error_count = exposed(registry, format, piece("done", 7), other)

    assert shown == {'own{state="done"}': 7.0}
    assert error_count == 1


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
def test_samples_of_other_names_are_exposed_beside_their_family(
    registry: CollectorRegistry, format: Format[str], type: str, names: list[str]
):
    samples = [Sample(name, {}, 1) for name in names]
    shown, error_count = exposed(registry, format, family("own", type, *samples))

    assert shown == dict.fromkeys(names, 1.0)
    assert error_count == 0


@FORMATS
def test_a_counter_that_is_named_with_its_suffix_is_a_counter(
    registry: CollectorRegistry, format: Format[str]
):
    registry.register(Yielding(family("own_total", "counter", Sample("own_total", {}, 1))))
    exposition = METRICS.expose(format)

    assert lines(exposition, format)["own_total"] == 1
    head = "own_total" if format is TEXT else "own"
    assert f"# TYPE {head} counter\n" in exposition


def test_filtering_by_name_keeps_all_pieces_of_a_family(registry: CollectorRegistry):
    registry.register(Yielding(piece("done", 7), piece("paused", 3)))
    exposition = METRICS.expose(TEXT, frozenset({"own"}))

    assert lines(exposition, TEXT).keys() >= {'own{state="done"}', 'own{state="paused"}'}
