"""The unit tests that specification 333 asks for, in our words."""

from __future__ import annotations

from django.test import Client

from tachikoma_metrics import METRICS, normalize_path
from tachikoma_metrics.testing import sample_value


def test_the_families_exist_before_anything_happened():
    assert "http_requests_total" in METRICS.encode()


def test_an_incremented_counter_is_on_the_page():
    METRICS.http_requests_total.labels("GET", "/test", "200").inc()

    assert sample_value("http_requests_total", method="GET", path="/test", status="200") == 1


def test_an_observation_is_on_the_page():
    METRICS.http_request_duration_seconds.labels("GET", "/test").observe(0.5)

    series = {"method": "GET", "path": "/test"}
    assert sample_value("http_request_duration_seconds_count", **series) == 1
    assert sample_value("http_request_duration_seconds_sum", **series) == 0.5
    assert sample_value("http_request_duration_seconds_bucket", le="0.25", **series) == 0
    assert sample_value("http_request_duration_seconds_bucket", le="0.5", **series) == 1


def test_a_uuid_in_a_path_becomes_a_placeholder():
    path = "/api/v1/missions/123e4567-e89b-12d3-a456-426614174000/specs"

    assert normalize_path(path) == "/api/v1/missions/:id/specs"


def test_the_handler_answers_200(client: Client):
    response = client.get("/metrics")

    assert response.status_code == 200
    assert response["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
