"""Custom collectors have a timeout, and their connections are closed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

import pytest
from django.db import connection, connections
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    GaugeMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from tachikoma_metrics import METRICS
from tachikoma_metrics.registry import collector_timeouts
from tachikoma_metrics.registry.collector_timeouts import CollectorTimeouts
from tachikoma_metrics.testing import sample_value
from tests.exposition.collectors import errors
from tests.services.processes import eventually


class Hanging(Collector):
    """A collector that hangs until an event is set."""

    def __init__(self, goes_on: threading.Event, *families: Metric) -> None:
        self._goes_on = goes_on
        self._families = families

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> list[Metric]:
        self._goes_on.wait(30)
        return list(self._families)


def test_a_collector_that_hangs_is_omitted_alone(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(METRICS, "_collector_timeouts", CollectorTimeouts(0.2))
    goes_on = threading.Event()

    registry.register(Hanging(goes_on, GaugeMetricFamily("slow_jobs", "Jobs.", value=3)))
    expositions = [METRICS.encode() for _ in range(3)]
    goes_on.set()

    assert all(
        "slow_jobs" not in exposition and "http_requests_in_flight" in exposition
        for exposition in expositions
    )
    assert sample_value("tachikoma_metrics_errors_total", source="collector") == 4
    eventually(lambda: sample_value("slow_jobs") == 3)


def test_collectors_that_hang_share_the_time_of_a_scrape(
    registry: CollectorRegistry, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(collector_timeouts, "SECONDS_FOR_A_SCRAPE", 0.5)
    goes_on = threading.Event()

    for _ in range(4):
        registry.register(Hanging(goes_on))
    before = time.monotonic()
    exposition = METRICS.encode()
    seconds = time.monotonic() - before
    goes_on.set()

    assert "http_requests_in_flight" in exposition
    # Each of them would be waited for ten times as long.
    assert seconds < 4


# --- clean-up ---------------------------------------------------------------


def fail_to_close(self: object) -> None:
    raise OSError("closed in another thread")


class Querying(Collector):
    """A custom collector that queries the database."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterable[Metric]:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 3")
            yield GaugeMetricFamily("rows", "Rows.", value=cursor.fetchone()[0])
        if self.error is not None:
            raise self.error


@pytest.mark.django_db
@pytest.mark.parametrize("error", [None, RuntimeError("no more")])
def test_metrics_of_a_collector_are_exposed_though_its_connection_cannot_be_closed(
    registry: CollectorRegistry,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception | None,
):
    monkeypatch.setattr(collector_timeouts, "_is_within_a_test", lambda: False)
    monkeypatch.setattr(type(connections["default"]), "close", fail_to_close)
    registry.register(Querying(error))
    exposition = METRICS.encode()
    monkeypatch.undo()

    assert "rows 3.0" in exposition
    assert errors(exposition) == {"collector": 1}
    assert ("no more" if error else "closed in another thread") in caplog.text
    assert "within 5 seconds" not in caplog.text
