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
    exposed,
    family,
    lines,
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
def test_an_invalid_sample_is_omitted_alone(
    registry: CollectorRegistry, format: Format[str], bad: Any
):
    shown, error_count = exposed(registry, format, family("own", "gauge", GOOD, bad))

    assert shown == SHOWN
    assert error_count == 1


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
def test_a_sample_that_is_invalid_for_its_type_is_omitted_alone(
    registry: CollectorRegistry, format: Format[str], type: str, bad: Sample
):
    good = GaugeMetricFamily("own_other", "Own.", value=5)
    shown, error_count = exposed(registry, format, family("own", type, bad), good)

    assert shown == {"own_other": 5.0}
    assert error_count == 1


NAMELESS = family("own", "gauge", Sample("own", {}, 1))
NAMELESS.name = ""
STALE = family("own", "gauge", Sample("own", {}, 1))
STALE.type = "stale"
UNTYPED = family("own", "gauge", GOOD)
UNTYPED.type = ["gauge"]  # type: ignore[assignment]


@FORMATS
@pytest.mark.parametrize("bad", [NAMELESS, STALE, UNTYPED], ids=["name", "type", "list"])
def test_a_family_without_a_valid_name_or_type_is_omitted_alone(
    registry: CollectorRegistry, format: Format[str], bad: Metric
):
    shown, error_count = exposed(registry, format, bad, family("own", "gauge", GOOD))

    assert shown == SHOWN
    assert error_count == 1


@pytest.mark.parametrize("unit", ["m/s", "%", "°C", "By.s", "a b", "x\nown 7", "seconds", 5, None])
def test_a_unit_that_is_no_suffix_of_the_name_is_omitted(registry: CollectorRegistry, unit: Any):
    registry.register(Yielding(family("own", "gauge", GOOD, unit=unit)))
    exposition = METRICS.expose(OPENMETRICS)

    assert lines(exposition, OPENMETRICS).items() >= SHOWN.items()
    assert "# UNIT own " not in exposition
    assert "tachikoma_metrics_errors_total{" not in exposition


def test_units_of_custom_metrics_never_make_the_exposition_invalid(registry: CollectorRegistry):
    Gauge("own_wind", "Speed.", unit="m/s", registry=registry).set(3)
    Histogram("own_load", "Share.", unit="%", registry=registry).observe(3)
    Counter("own_energy", "Energy.", unit="Wh", registry=registry).inc()
    exposition = METRICS.expose(OPENMETRICS)

    shown = lines(exposition, OPENMETRICS)
    assert shown["own_wind_m_s"] == 3
    assert shown["own_load___count"] == 1
    assert "# UNIT own_energy_Wh Wh\n" in exposition
    assert exposition.count("# UNIT own") == 1


@pytest.mark.parametrize("type", ["info", "stateset"])
def test_a_type_that_has_no_units_is_written_without(registry: CollectorRegistry, type: str):
    registry.register(Yielding(family("own_seconds", type, unit="seconds")))
    exposition = METRICS.expose(OPENMETRICS)

    strict.read(exposition, OPENMETRICS)
    assert "# UNIT own" not in exposition


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
def test_an_invalid_exemplar_is_omitted_alone(registry: CollectorRegistry, exemplar: Any):
    sample = Sample("own_total", {}, 1, None, exemplar)
    shown, error_count = exposed(registry, OPENMETRICS, family("own", "counter", sample))

    assert shown == {"own_total": 1.0}
    assert error_count == 1


@FORMATS
def test_an_exemplar_where_none_is_allowed_is_omitted_alone(
    registry: CollectorRegistry, format: Format[str]
):
    sample = Sample("own", {}, 1, None, Exemplar({"trace_id": "a"}, 1))
    shown, error_count = exposed(registry, format, family("own", "gauge", sample))

    assert shown == {"own": 1.0}
    assert error_count == (format is OPENMETRICS)


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
def test_timestamps_are_valid_for_strict_parsers(
    registry: CollectorRegistry, timestamp: Any, written: str
):
    registry.register(Yielding(family("own", "gauge", Sample("own", {}, 1, timestamp))))
    exposition = METRICS.expose(OPENMETRICS)

    strict.read(exposition, OPENMETRICS)
    assert f"\nown 1.0 {written}\n" in exposition
