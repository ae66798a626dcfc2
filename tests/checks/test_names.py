"""Invalid names of settings, metrics, labels and aliases."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings
from prometheus_client import CollectorRegistry, Counter

from tachikoma_metrics import METRICS, catalogue, record_db_query
from tachikoma_metrics.testing import sample_value
from tests.checks.messages import message
from tests.conftest import found

WRONG_NAMES: list[tuple[str, Any, str, str]] = [
    ("E001", "ENABLED", "a str. It must be a dictionary.", "Example: TACHIKOMA_METRICS = {"),
    ("E001", [("TOKENS", ["secret"])], "Invalid TACHIKOMA_METRICS: a list.", "Example"),
    ("E002", {"LATENCY_BUCKET": [1]}, "'LATENCY_BUCKET' in", '"LATENCY_BUCKETS": [0.1, 0.5, 1]'),
    ("E002", {"enabled": True}, "Did you mean 'ENABLED'?", '"ENABLED": False'),
    ("E002", {7: True}, "Unknown key 7 in TACHIKOMA_METRICS. It must be one of: ALL", "Remove it"),
    ("E003", {"BUCKETS": {"http_requests_total": [1]}}, "is a counter", '"BUCKETS": {'),
    ("E003", {"BUCKETS": {"executions_duration_seconds": [1]}}, "'execution_duration_sec", ""),
    ("E008", {"LABELS": {"nothing": []}}, "Unknown metric 'nothing' in LABELS. It must", "Example"),
    ("E008", {"LABELS": {"tachikoma_metrics_info": []}}, "'tachikoma_metrics_info'", "Remove"),
    ("E009", {"EXTRA_METRICS": ["http_requests_total"]}, "is on by default. It must be an opt", ""),
    ("E009", {"EXTRA_METRICS": ["ws_disconnect_total"]}, "mean 'ws_disconnects_total'?", "Example"),
    ("E010", {"DISABLED_METRICS": ["http_request_total"]}, "mean 'http_requests_total'?", ""),
    ("E004", {"LABELS": {"http_requests_total": ["metod"]}}, "'metod' of 'http_requests_", "Ex"),
    ("E004", {"LABELS": {"cache_hits_total": ["method"]}}, "It must be one of: cache.", "Remove"),
    ("E004", {"LABELS": {"missions_total": ["team"]}}, "'team'", "Remove"),
    ("E005", {"GLOBAL_LABELS": {"method": "x"}}, "'method'", "Rename"),
    ("E005", {"GLOBAL_LABELS": [("status", "x")]}, "'status'", "Rename"),
    ("E006", {"EXTRA_LABELS": {"tenant": "tests.views.nowhere"}}, "cannot be imported", "Write"),
    ("E006", {"EXTRA_LABELS": {"tenant": "tests.views.CHUNKS"}}, "not callable", "Write"),
    ("E006", {"EXTRA_LABELS": {"tenant": "tests.views.coroutine_label"}}, "coroutine", "Write"),
    ("E006", {"EXTRA_LABELS": {"t": "tests.views.CoroutineObject"}}, "", "Write"),
    ("E006", {"EXTRA_LABELS": {"t": "tests.views.coroutine_object"}}, "coroutine", "Write"),
    ("E006", {"EXTRA_LABELS": {"t": "tests.views.chunks"}}, "the request alone: too", "Write"),
    ("E006", {"EXTRA_LABELS": {"t": "tests.views.of_two"}}, "argument: 'other'", "Write"),
    ("E013", {"PERMISSION": "tests.views.of_two"}, "argument: 'other'", "Write"),
    ("E013", {"PERMISSION": "tests.views.coroutine_object"}, "coroutine", "Write"),
    ("E007", {"EXTRA_LABELS": {"view": "tests.views.tenant"}}, "'view'", "Rename it"),
]


@pytest.mark.parametrize(("id", "declared", "says", "hints"), WRONG_NAMES)
def test_an_invalid_name_is_an_error_with_a_hint(id: str, declared: object, says: str, hints: str):
    with override_settings(TACHIKOMA_METRICS=declared):
        message = found()[id]

    assert says in message.msg
    assert hints in (message.hint or "")
    assert message.is_serious()


def test_an_unknown_alias_of_a_database_is_a_warning():
    with override_settings(TACHIKOMA_METRICS={"INSTRUMENT_DATABASES": ["defualt"]}):
        message = found()["W010"]

    assert message.msg == (
        "Unknown alias 'defualt' in INSTRUMENT_DATABASES. Did you mean 'default'?"
    )
    assert message.hint == 'Remove or correct it. Example: "INSTRUMENT_DATABASES": ["default"]'


COUNTED = {"answer": {"callable": "tests.checks.test_names.answer", "labels": ["kind"]}}


def answer() -> dict[tuple[str], int]:
    return {("any",): 42}


def test_a_global_label_that_a_business_metric_has_is_an_error():
    declared = {"GLOBAL_LABELS": {"kind": "x"}, "BUSINESS_METRICS": COUNTED}
    with override_settings(TACHIKOMA_METRICS=declared):
        message = found()["E005"]

    assert "'kind' in GLOBAL_LABELS is already a label of 'answer'." in message.msg
    assert "Rename the global label, or the one in BUSINESS_METRICS." in (message.hint or "")


def test_a_global_label_may_have_the_name_of_a_dropped_label():
    labels = {
        family: [name for name in names if name != "endpoint"]
        for family, names in {"backend_requests_total": ["backend", "endpoint"]}.items()
    }
    declared = {"GLOBAL_LABELS": {"endpoint": "eu"}, "LABELS": labels}

    with override_settings(TACHIKOMA_METRICS=declared):
        assert found() == {}


def test_a_custom_label_can_be_added_to_http_metrics():
    declared = {
        "EXTRA_LABELS": {"tenant": "tests.views.tenant"},
        "LABELS": {"http_requests_total": ["method", "tenant"]},
    }

    with override_settings(TACHIKOMA_METRICS=declared):
        assert found() == {}


def test_a_custom_label_of_no_metric_is_a_warning():
    with override_settings(TACHIKOMA_METRICS={"EXTRA_LABELS": {"tenant": "tests.views.tenant"}}):
        message = found()["W007"]

    assert "'tenant'" in message.msg


@pytest.mark.parametrize("name", [n for n in catalogue.FAMILIES if "tachikoma" in n])
def test_the_labels_of_metrics_about_the_instrumentation_stay(name: str, client: Client):
    with override_settings(TACHIKOMA_METRICS={"LABELS": {name: []}, "CARDINALITY_LIMIT": 1}):
        METRICS.file_changes_total.labels("modify", "applied").inc()
        record_db_query("select", "orders", float("nan"))

        assert client.get("/metrics").status_code == 200
        assert sample_value("tachikoma_metrics_errors_total", source="database") == 1


def test_a_metric_of_the_project_with_a_built_in_name_is_a_warning(registry: CollectorRegistry):
    Counter("cache_hits_total", "The project's own.", registry=registry)

    message = found()["W004"]

    assert "'cache_hits_total'" in message.msg
    assert "Counter(cache_hits)" in message.msg
    assert "NAMESPACE" in (message.hint or "")


@pytest.mark.parametrize(
    "declared", [{"NAMESPACE": "shop"}, {"DISABLED_METRICS": ["cache_hits_total"]}]
)
def test_the_remedies_for_a_taken_name_work(declared: object, registry: CollectorRegistry):
    Counter("cache_hits_total", "The project's own.", registry=registry)

    with override_settings(TACHIKOMA_METRICS=declared):
        assert found() == {}


@pytest.mark.parametrize(
    "name",
    [
        "TACHIKOMA_METRIC",
        "TACHIKOMA_METRICS_NAMESPACE",
        "TACHIKOMA_METRICS_TOKEN",
        "TACHICOMA_METRICS",
        "TACHIKOMAMETRICS",
    ],
)
def test_a_setting_with_nearly_the_right_name_is_a_warning(name: str):
    reported = message("W024", **{name: {"NAMESPACE": "shop"}})

    assert f"'{name}' has no effect" in reported.msg
    assert "TACHIKOMA_METRICS" in (reported.hint or "")


def test_settings_of_the_project_with_a_similar_name_are_allowed():
    with override_settings(TACHIKOMA_URL="https://example.com", TACHIKOMA={}):
        assert found() == {}


def test_a_name_that_is_used_to_build_the_settings_is_allowed():
    with override_settings(
        TACHIKOMA_METRICS_TOKEN="t" * 20, TACHIKOMA_METRICS={"TOKENS": ["t" * 20]}
    ):
        assert found() == {}
