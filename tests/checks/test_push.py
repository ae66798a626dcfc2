"""Where ``OTLP`` sends values, and how often."""

from __future__ import annotations

import pytest
from django.test import override_settings

from tachikoma_metrics.push import environment
from tests.checks.messages import message
from tests.conftest import found

ON = {"OTLP": True}
IDS = {"E181", "E182", "E183"} | {f"W18{number}" for number in range(7)}
ENDPOINT, INTERVAL = environment.ENDPOINT, environment.INTERVAL


@pytest.fixture(autouse=True)
def set_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    others = (*environment.PROTOCOLS, *environment.HEADERS, *environment.TIMEOUTS)
    for name in (environment.METRICS_ENDPOINT, INTERVAL, *others):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(ENDPOINT, "http://collector:4318")


def told() -> set[str]:
    with override_settings(TACHIKOMA_METRICS=ON):
        return IDS & set(found())


def test_a_usual_endpoint_is_all_right():
    assert told() == set()


def test_without_the_setting_nothing_is_checked(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(ENDPOINT, "nonsense")
    monkeypatch.setenv(INTERVAL, "nonsense")

    assert IDS & set(found()) == set()


@pytest.mark.parametrize(
    "endpoint",
    ["collector:4318", "/v1/metrics", "http://", "ftp://collector", "http://a:99999", "http://a b"],
)
def test_an_endpoint_that_is_no_url_is_an_error(monkeypatch: pytest.MonkeyPatch, endpoint: str):
    monkeypatch.setenv(environment.METRICS_ENDPOINT, endpoint)

    assert environment.METRICS_ENDPOINT in message("E182", ON).msg


@pytest.mark.parametrize(
    ("variable", "endpoint", "is_odd"),
    [
        (ENDPOINT, "http://collector:4318/v1/metrics", True),
        (ENDPOINT, "http://collector:4318/v1/metrics/", True),
        (ENDPOINT, "http://collector:4318?token=a", True),
        (ENDPOINT, "http://collector:4318/api/v1/otlp", False),
        (environment.METRICS_ENDPOINT, "http://collector:4318", True),
        (environment.METRICS_ENDPOINT, "http://collector:4318/", True),
        (environment.METRICS_ENDPOINT, "http://collector:4318/v1/metrics", False),
    ],
)
def test_a_path_that_receivers_do_not_have_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, variable: str, endpoint: str, is_odd: bool
):
    monkeypatch.setenv(variable, endpoint)

    assert ("W184" in told()) == is_odd
    if is_odd:
        assert variable in message("W184", ON).msg


def test_an_invalid_endpoint_is_shown_as_it_is_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(ENDPOINT, "user:secret@collector:4318")

    assert "'collector:4318/v1/metrics'" in message("E182", ON).msg


@pytest.mark.parametrize(
    ("endpoint", "is_public"),
    [
        ("http://otlp.example.com", True),
        ("http://203.0.113.7:4318", False),  # Documentation counts as private to Python.
        ("http://8.8.8.8:4318", True),
        ("http://[2606:4700::1]:4318", True),
        ("https://otlp.example.com", False),
        ("http://localhost:4318", False),
        ("http://10.0.0.7:4318", False),
        ("http://[::1]:4318", False),
        ("http://collector.monitoring.svc:4318", False),
        ("http://collector.monitoring.svc.cluster.local:4318", False),
        ("http://metrics.internal", False),
        ("http://localdomain.example", True),
    ],
)
def test_only_a_public_host_needs_tls(
    monkeypatch: pytest.MonkeyPatch, endpoint: str, is_public: bool
):
    monkeypatch.setenv(ENDPOINT, endpoint)

    assert told() == ({"W181"} if is_public else set())


@pytest.mark.parametrize(
    ("interval", "ids"),
    [
        ("15000", set()),
        ("5000", set()),
        ("4999", {"W182"}),
        ("0", {"E183"}),
        ("-1", {"E183"}),
        ("inf", {"E183"}),
        ("15s", {"E183"}),
        ("", set()),
    ],
)
def test_intervals(monkeypatch: pytest.MonkeyPatch, interval: str, ids: set[str]):
    monkeypatch.setenv(INTERVAL, interval)

    assert told() == ids


def test_the_protocol_of_metrics_counts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
    assert told() == {"W183"}

    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf")
    assert told() == set()


@pytest.mark.parametrize(
    ("headers", "are_valid"),
    [
        ("Authorization=Basic%20QQ==,X-Scope-OrgID=a", True),
        (" authorization = Bearer%20a , ", True),
        ("Authorization: Basic QQ==", False),
        ("X-Scope-OrgID", False),
    ],
)
@pytest.mark.parametrize("variable", environment.HEADERS)
def test_headers_that_would_be_ignored_are_a_warning_without_their_values(
    monkeypatch: pytest.MonkeyPatch, variable: str, headers: str, are_valid: bool
):
    monkeypatch.setenv(variable, headers)

    assert told() == (set() if are_valid else {"W185"})
    if not are_valid:
        assert variable in message("W185", ON).msg
        assert "QQ==" not in message("W185", ON).msg


@pytest.mark.parametrize(
    ("seconds", "is_valid"),
    [("10", True), ("0.5", True), ("60", True), ("10000", False), ("0", False), ("10s", False)],
)
@pytest.mark.parametrize("variable", environment.TIMEOUTS)
def test_a_timeout_that_is_not_in_seconds_is_a_warning(
    monkeypatch: pytest.MonkeyPatch, variable: str, seconds: str, is_valid: bool
):
    monkeypatch.setenv(variable, seconds)

    assert told() == (set() if is_valid else {"W186"})
