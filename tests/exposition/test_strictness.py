"""Invalid samples are omitted alone, and strict parsers accept the rest."""

from __future__ import annotations

import datetime
import math
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import (
    GaugeMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample, Timestamp

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import OPENMETRICS, Format
from tests.exposition import strict
from tests.exposition.collectors import (
    FORMATS,
    GOOD,
    SHOWN,
    Yielding,
    family,
    lines,
    page_of,
)


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
