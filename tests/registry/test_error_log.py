"""Instrumentation errors are counted each time, and logged once."""

from __future__ import annotations

import pytest

from tachikoma_metrics import (
    METRICS,
    record_db_query,
)
from tachikoma_metrics.testing import sample_value


def test_an_error_is_counted_each_time_and_logged_once(caplog: pytest.LogCaptureFixture):
    for _ in range(3):
        record_db_query("select", "orders", float("nan"))

    assert sample_value("tachikoma_metrics_errors_total", source="database") == 3
    assert len(caplog.records) == 1
    assert "Instrumentation error in database" in caplog.text


def test_an_error_that_cannot_be_counted_does_not_raise(caplog: pytest.LogCaptureFixture):
    class Unprintable:
        def __repr__(self) -> str:
            raise RuntimeError

    METRICS.count_error("http", ValueError("x"), Unprintable())

    assert "could not be counted" in caplog.text
