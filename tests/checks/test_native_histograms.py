"""Checks of the settings of native histograms."""

from __future__ import annotations

from django.test import override_settings
from prometheus_client import REGISTRY, Histogram

from tests.conftest import found


def test_native_histograms_come_with_a_warning_of_what_happens_to_classic_buckets():
    with override_settings(TACHIKOMA_METRICS={"NATIVE_HISTOGRAMS": True}):
        messages = found()

    assert set(messages) == {"W150"}
    assert "_bucket" in messages["W150"].msg
    assert "always_scrape_classic_histograms: true" in str(messages["W150"].hint)


def test_a_metric_that_is_no_histogram_cannot_be_native():
    with override_settings(TACHIKOMA_METRICS={"NATIVE_HISTOGRAMS": ["http_requests_total"]}):
        messages = found()

    assert "'http_requests_total' in NATIVE_HISTOGRAMS is a counter" in messages["E152"].msg


def test_a_name_without_a_histogram_is_reported_with_the_closest_one():
    named = ["http_request_duration", "depot_price"]
    depot_price = Histogram("depot_price", "Price.")
    try:
        with override_settings(TACHIKOMA_METRICS={"NATIVE_HISTOGRAMS": named}):
            message = found()["W151"]
    finally:
        REGISTRY.unregister(depot_price)

    assert "'http_request_duration' in NATIVE_HISTOGRAMS" in message.msg
    assert "http_request_duration_seconds" in message.msg
