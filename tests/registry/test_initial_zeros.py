"""Label sets of closed vocabularies are exposed at zero before something is counted in them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings

from tachikoma_metrics import (
    METRICS,
    catalogue,
    record_backend_request,
    record_execution,
    track_backend_request,
    track_execution,
)
from tachikoma_metrics.recording.error_types import ERROR_TYPES
from tachikoma_metrics.recording.events import HTTP_REQUEST, HttpFacts
from tachikoma_metrics.recording.tasks import COMMAND_RUN, TASK_RUN
from tachikoma_metrics.testing import sample_value, samples


def by_labels(name: str, *labels: str) -> dict[tuple[str, ...], float]:
    return {
        tuple(dict(values)[label] for label in labels): value
        for (sample, values), value in samples().items()
        if sample == name
    }


def requests() -> dict[tuple[str, ...], float]:
    return by_labels("http_requests_total", "method", "path", "status")


def request(path: str, status: int = 200, method: str = "GET") -> None:
    facts: HttpFacts = (method, path, status, "", "", ())
    HTTP_REQUEST.record_valid(facts, (1.0, 0.1, 1.0, 1.0, 0.1, 0.0, 0.0))


def test_a_route_that_was_requested_has_a_series_of_errors_at_zero(client: Client):
    client.get("/no/such/")

    assert requests() == {("GET", "<unmatched>", "404"): 1, ("GET", "<unmatched>", "500"): 0}


def test_metrics_without_a_label_of_the_status_get_none(client: Client):
    client.get("/no/such/")

    name = "http_request_duration_seconds_count"
    assert by_labels(name, "method", "path") == {("GET", "<unmatched>"): 1}


@override_settings(
    TACHIKOMA_METRICS={"LABELS": {"http_request_duration_seconds": ["method", "status"]}}
)
def test_a_histogram_with_the_label_gets_it_too():
    request("a")

    name = "http_request_duration_seconds_count"
    assert by_labels(name, "method", "status") == {("GET", "200"): 1, ("GET", "500"): 0}


def test_the_first_error_is_counted_from_zero():
    request("a")
    assert requests()["GET", "/a", "500"] == 0

    request("a", 500)

    assert requests() == {("GET", "/a", "200"): 1, ("GET", "/a", "500"): 1}


def test_a_route_that_begins_with_an_error_has_one_series():
    request("a", 500)

    assert requests() == {("GET", "/a", "500"): 1}


@override_settings(TACHIKOMA_METRICS={"ZERO_STATUSES": [503, 500]})
def test_the_setting_lists_the_statuses():
    request("a")

    assert requests() == {
        ("GET", "/a", "200"): 1,
        ("GET", "/a", "500"): 0,
        ("GET", "/a", "503"): 0,
    }


@override_settings(TACHIKOMA_METRICS={"ZERO_STATUSES": []})
def test_an_empty_list_switches_it_off():
    request("a")

    assert requests() == {("GET", "/a", "200"): 1}


@override_settings(TACHIKOMA_METRICS={"LABELS": {"http_requests_total": ["method", "path"]}})
def test_without_a_label_of_the_status_there_is_nothing_to_do():
    request("a")

    assert by_labels("http_requests_total", "method", "path") == {("GET", "/a"): 1}


@override_settings(TACHIKOMA_METRICS={"LABELS": {"http_requests_total": ["status", "view"]}})
def test_other_labels_have_the_values_of_the_request():
    HTTP_REQUEST.record_valid(("GET", "a", 200, "home", "", ()), (1.0,) * 7)

    assert by_labels("http_requests_total", "status", "view") == {
        ("200", "home"): 1,
        ("500", "home"): 0,
    }


@override_settings(TACHIKOMA_METRICS={"DISABLED_METRICS": ["http_requests_total"]})
def test_a_metric_that_is_off_gets_none():
    request("a")

    assert "http_requests_total" not in METRICS.encode()


def test_recording_the_same_again_initializes_nothing(monkeypatch: pytest.MonkeyPatch):
    calls: list[object] = []

    def note(named: object, recorded: object) -> None:
        calls.append(named)

    monkeypatch.setattr(HTTP_REQUEST, "_initialize_variants", note)

    for _ in range(3):
        request("a")

    assert calls == [("GET", "/a", "200", "")]


def test_an_error_there_is_counted_and_the_request_too(monkeypatch: pytest.MonkeyPatch):
    def fail(named: Any) -> Any:
        raise RuntimeError("intended")

    monkeypatch.setattr(HTTP_REQUEST, "_variants", fail)
    request("a")

    assert requests() == {("GET", "/a", "200"): 1}
    assert sample_value("tachikoma_metrics_errors_total", source="http") == 1


# --- the limit --------------------------------------------------------------


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 10})
def test_series_at_zero_take_no_place_from_others():
    for number in range(9):
        request(str(number))

    counted = {labels for labels, value in requests().items() if value}
    assert counted == {("GET", f"/{number}", "200") for number in range(9)}
    assert "tachikoma_metrics_overflow_total{" not in METRICS.encode()


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 10})
def test_series_at_zero_do_not_fill_a_metric():
    for number in range(9):
        request(str(number))

    assert sample_value("tachikoma_metrics_cardinality", family="http_requests_total") == 9


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 10})
def test_above_the_limit_nothing_is_lost_or_at_zero():
    for number in range(30):
        request(str(number))
        request(str(number), 500)

    found = requests()
    assert sum(found.values()) == 60
    assert all(found.values())
    assert len(found) == 9 + 2
    assert found["GET", "overflow", "500"] + found["GET", "overflow", "200"] == 60 - 9


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 10})
def test_an_error_in_a_series_at_zero_makes_it_one_of_the_others():
    for number in range(4):
        request(str(number))
    request("0", 500)
    for number in range(4, 12):
        request(str(number))

    assert requests()["GET", "/0", "500"] == 1
    assert sum(requests().values()) == 13


# --- removal ----------------------------------------------------------------


def test_a_reset_removes_them():
    request("a")
    METRICS.reset()

    assert requests() == {}

    request("a")
    assert requests() == {("GET", "/a", "200"): 1, ("GET", "/a", "500"): 0}


def test_a_label_set_that_was_initialized_can_be_removed():
    request("a")
    METRICS.http_requests_total.remove("GET", "/a", "500")

    assert requests() == {("GET", "/a", "200"): 1}


def test_label_sets_are_removed_by_labels():
    request("a")
    request("b")
    METRICS.http_requests_total.remove_by_labels({})
    assert len(requests()) == 4

    METRICS.http_requests_total.remove_by_labels({"path": "/a"})

    assert requests() == {("GET", "/b", "200"): 1, ("GET", "/b", "500"): 0}


# --- LLM calls and upstream APIs --------------------------------------------


def outcomes() -> dict[tuple[str, ...], float]:
    return by_labels("executions_total", "backend", "model", "status")


def test_the_outcomes_of_an_llm_call_are_at_zero_while_the_first_one_runs():
    with track_execution("openai", "gpt"):
        assert outcomes() == {("openai", "gpt", status): 0 for status in catalogue.OUTCOMES}

    assert outcomes()["openai", "gpt", "success"] == 1
    assert sum(outcomes().values()) == 1


def test_a_recorded_llm_call_has_all_outcomes():
    record_execution("openai", "gpt", "error", 1.0, (1, 2))

    assert outcomes() == {
        ("openai", "gpt", status): float(status == "error") for status in catalogue.OUTCOMES
    }


def test_what_is_no_text_is_counted_as_one_error():
    record_backend_request(["search"], "/", 1.0)  # type: ignore[arg-type]

    assert sample_value("tachikoma_metrics_errors_total", source="backend") == 1


def error_types() -> dict[tuple[str, ...], float]:
    return by_labels("backend_errors_total", "backend", "error_type")


def test_the_error_types_of_an_upstream_api_are_at_zero_while_the_first_request_runs():
    with track_backend_request("search", "/"):
        assert error_types() == {("search", kind): 0 for kind in ERROR_TYPES}


def test_the_error_types_of_an_upstream_api_are_at_zero_after_a_recorded_request():
    record_backend_request("search", "/", 0.1)

    assert error_types() == {("search", kind): 0 for kind in ERROR_TYPES}


def test_an_exception_is_counted_from_zero():
    with pytest.raises(TimeoutError), track_backend_request("search", "/"):
        raise TimeoutError

    assert error_types() == {("search", kind): float(kind == "timeout") for kind in ERROR_TYPES}


# --- tasks and commands -----------------------------------------------------


def test_the_outcomes_of_a_task_are_at_zero_when_its_first_run_begins():
    TASK_RUN.initialize(("shop.pay", "till"))

    assert by_labels("task_runs_total", "task", "queue", "outcome") == {
        ("shop.pay", "till", outcome): 0
        for outcome in ("success", "failure", "retry", "timeout", "lost")
    }


def test_the_outcomes_of_a_command_are_at_zero_beside_the_first():
    COMMAND_RUN.record(("send_bills", "success"), (1.0, 2.0))

    assert by_labels("command_runs_total", "command", "outcome") == {
        ("send_bills", "success"): 1,
        ("send_bills", "failure"): 0,
    }
