"""Invalid declarations of business metrics."""

from __future__ import annotations

from typing import Any

import pytest

from tachikoma_metrics import METRICS, update_business_metrics
from tachikoma_metrics.testing import sample_value
from tests.business.declarations import MISSIONS, Declare
from tests.business.recorded import exported
from tests.conftest import found

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "name",
    [
        "http_request_duration_seconds_count",
        "http_requests_created",
        "shop_http_requests",
        "shop_http_requests_total",
        "up",
        "scrape_duration_seconds",
    ],
)
def test_a_name_of_another_exported_metric_is_invalid(settings: Any, name: str):
    counted = {name: {"model": "missions.Mission"}}
    settings.TACHIKOMA_METRICS = {"NAMESPACE": "shop", "BUSINESS_METRICS": counted}

    assert "name is already used" in found()["E011"].msg


def test_a_metric_with_the_name_of_a_built_in_metric_is_not_counted(declare: Declare):
    declare({"http_requests": {"model": "missions.Mission"}})
    METRICS.http_requests_total.labels("GET", "/", "200").inc()
    update_business_metrics()

    assert "name is already used" in found()["E011"].msg
    assert exported("http_requests") == {}
    assert sample_value("http_requests_total", method="GET", path="/", status="200") == 1


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"x": {"model": "missions.Nothing"}}, "model must be that of an installed app"),
        ({"x": {"model": "nothing"}}, "model must be that of an installed app"),
        ({"x": {"model": "missions.Spec", "labels": {"a": "nothing"}}}, "name fields of"),
        ({"x": {"model": "missions.Spec", "filter": {"nothing": 1}}}, "name fields of"),
        (
            {"x": {"model": "missions.Spec", "labels": {"le": "title"}}},
            "'le' must be a valid",
        ),
        ({"x-y": {"model": "missions.Spec"}}, "valid metric name"),
        ({"http_requests_total": {"model": "missions.Spec"}}, "name is already used"),
        ({"specs_total": {"model": "missions.Spec", "labels": {"a": "title"}}}, "among ['status']"),
        ({"cache_hits": {"model": "missions.Spec"}}, "name is already used"),
        ({"process_x": {"model": "missions.Spec"}}, "name is already used"),
        (
            {"x": {"model": "missions.Spec", "filter": {"created_at__gt": "no"}}},
            "name fields of",
        ),
        ({"x": {"callable": "tests.nothing.at_all"}}, "cannot be imported"),
        ({"x": {"callable": "tests.business.declarations.SPECS"}}, "must be a callable"),
        (
            {"x": {"callable": "tests.business.callables.answer", "filter": {"a": 1}}},
            "left out",
        ),
        ({"x": {"callable": "tests.views.coroutine_label"}}, "is a coroutine function"),
        ({"x": {"callable": "tests.views.coroutine_object"}}, "is a coroutine function"),
        ({"x": {"callable": "tests.views.tenant"}}, "without arguments: missing a required"),
    ],
)
def test_the_check_finds_invalid_declarations(declare: Declare, metrics: Any, expected: str):
    declare(metrics)

    message = found()["E011"]
    assert expected in message.msg
    assert message.hint


@pytest.mark.parametrize(
    "metrics",
    [
        {"x": {}},
        {"x": {"model": "a.B", "callable": "a.b"}},
        {"x": {"model": 5}},
        {"x": {"model": "a.B", "label": {}}},
        {"x": {"model": "a.B", "labels": ["status"]}},
        {"x": {"callable": "a.b", "labels": "status"}},
        {"x": {"callable": "a.b", "labels": {"status": "status"}}},
    ],
)
def test_the_check_finds_malformed_declarations(declare: Declare, metrics: Any):
    declare(metrics)
    assert "E120" in found()


def test_the_check_rejects_a_cache_of_one_process_as_store(declare: Declare):
    declare(MISSIONS, BUSINESS_STORE="cache")
    assert "E012" in found()
