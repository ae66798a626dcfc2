"""A metric is exposed from when what records it is in use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from django.test import override_settings

from tachikoma_metrics import (
    METRICS,
    catalogue,
    record_cache_hit,
    record_execution,
    record_file_change,
    track_backend_request,
    track_execution,
)
from tachikoma_metrics.asgi import WebSocketMetricsMiddleware
from tachikoma_metrics.backends import announced, instrument_client
from tachikoma_metrics.testing import sample_value
from tests.projects import Project

LISTED = """
from django.test import Client
exposition = Client().get("/metrics").content.decode()
print(*(line.split()[2] for line in exposition.splitlines() if line.startswith("# TYPE")))
"""
NOT_IN_USE = (
    "missions_total",
    "specs_total",
    "file_changes_total",
    "executions_total",
    "executions_in_progress",
    "execution_tokens_total",
    "backend_requests_total",
    "ws_connections_total",
    "ws_connections_current",
)


@pytest.fixture(autouse=True)
def _no_wrappers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the wrappers that other tests made."""
    in_use = METRICS._in_use - catalogue.RECORDED_BY_WEBSOCKETS - catalogue.RECORDED_BY_EXECUTIONS
    monkeypatch.setattr(METRICS, "_in_use", in_use - catalogue.RECORDED_BY_BACKENDS)
    monkeypatch.setattr(announced, "_announced", set())


def is_shown(name: str) -> bool:
    exposition = METRICS.encode()
    return f"# TYPE {name} " in exposition


def test_a_new_project_exposes_what_it_measures_and_no_more(tmp_path: Path):
    shown = Project(tmp_path / "project").run_code(LISTED).stdout.split()

    assert {"http_requests_total", "http_requests_in_flight", "db_queries_total"} <= set(shown)
    assert {"cache_hits_total", "db_connections_current", "tachikoma_metrics_info"} <= set(shown)
    assert not set(NOT_IN_USE) & set(shown)
    assert not [name for name in shown if name.startswith(("execution", "ws_", "backend_"))]


def test_cardinality_omits_metrics_that_are_not_in_use():
    assert 'tachikoma_metrics_cardinality{family="specs_total"}' not in METRICS.encode()


def use_a_tracker() -> None:
    track_execution("openai", "gpt")


def decorate_a_function() -> None:
    @track_backend_request("search", "/")
    def search() -> None: ...


def instrument() -> None:
    instrument_client(httpx.Client(), "openai")


def use_a_wrapper() -> None:
    async def application(scope: object, receive: object, send: object) -> None: ...

    WebSocketMetricsMiddleware(application)


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("ws_connections_total", use_a_wrapper),
        ("ws_messages_received_total", use_a_wrapper),
        ("executions_total", use_a_tracker),
        ("execution_duration_seconds", use_a_tracker),
        ("execution_tokens_total", use_a_tracker),
        ("executions_in_progress", use_a_tracker),
        ("executions_lost_total", use_a_tracker),
        ("backend_requests_total", decorate_a_function),
        ("backend_errors_total", decorate_a_function),
        ("backend_requests_total", instrument),
        ("backend_request_duration_seconds", instrument),
        ("backend_errors_total", instrument),
        ("executions_total", lambda: record_execution("openai", "gpt", "success", 1.0, (1, 2))),
        ("file_changes_total", lambda: record_file_change("modify", "applied")),
        ("db_queries_total", lambda: METRICS.db_queries_total.labels("select", "other")),
        ("missions_total", lambda: METRICS.missions_total.set(3)),
    ],
    ids=lambda value: value if isinstance(value, str) else value.__name__.strip("<>"),
)
def test_a_metric_is_exposed_from_when_it_is_used(name: str, use: Callable[[], object]):
    with override_settings(TACHIKOMA_METRICS={"INSTRUMENT_DATABASES": False}):
        before = is_shown(name)
        use()

        assert (before, is_shown(name)) == (False, True)


def test_the_error_types_of_an_instrumented_client_are_exposed_at_zero():
    instrument()

    assert sample_value("backend_errors_total", backend="openai", error_type="timeout") == 0


def test_opt_in_metrics_are_not_exposed_because_they_are_used():
    use_a_tracker()
    instrument()

    assert not is_shown("execution_cost_usd_total")
    assert not is_shown("backend_requests_in_progress")


def test_an_untouched_process_has_the_metrics_of_requests():
    assert is_shown("http_requests_total")
    assert is_shown("http_requests_in_flight")


def test_tracking_exposes_what_is_in_progress():
    with track_execution("openai", "gpt"):
        assert is_shown("executions_in_progress")


@pytest.mark.django_db
def test_a_model_that_is_declared_has_its_metric_exposed():
    declared = {"BUSINESS_METRICS": {"specs_total": {"model": "missions.Spec"}}}
    with override_settings(TACHIKOMA_METRICS=declared):
        assert is_shown("specs_total")
        assert not is_shown("missions_total")


@pytest.mark.parametrize("name", ["cache_hits_total", "cache_misses_total"])
def test_the_metrics_of_caches_that_are_not_instrumented_are_not_exposed(name: str):
    with override_settings(TACHIKOMA_METRICS={"INSTRUMENT_CACHES": False}):
        assert not is_shown(name)
    assert is_shown(name)


def test_manually_recorded_values_are_exposed_nevertheless():
    with override_settings(TACHIKOMA_METRICS={"INSTRUMENT_CACHES": False}):
        record_cache_hit()

        assert is_shown("cache_hits_total")


def test_all_metrics_stay_attributes():
    assert all(getattr(METRICS, name) is not None for name in catalogue.FAMILIES)
