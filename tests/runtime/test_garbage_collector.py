"""The pauses of Python's garbage collector."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest
from django.test import override_settings

from tachikoma_metrics.runtime import garbage_collector
from tachikoma_metrics.testing import increase_of, sample_value

NAME = "python_gc_pause_seconds"
PAUSES = override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": [NAME]})
BY_GENERATION = override_settings(
    TACHIKOMA_METRICS={"EXTRA_METRICS": [NAME], "LABELS": {NAME: ["generation"]}}
)


@pytest.fixture
def _no_automatic_runs() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_automatic_runs")
def test_each_run_is_recorded():
    with PAUSES:
        for _ in range(3):
            gc.collect()

        assert sample_value(f"{NAME}_count") == 3
        assert 0 < (sample_value(f"{NAME}_sum") or 0) < 60


@pytest.mark.usefixtures("_no_automatic_runs")
def test_runs_can_be_separated_by_generation():
    with BY_GENERATION:
        for generation in (0, 0, 2):
            gc.collect(generation)

        assert sample_value(f"{NAME}_count", generation="0") == 2
        assert sample_value(f"{NAME}_count", generation="2") == 1


def test_it_is_off_by_default_and_then_nothing_is_called():
    gc.collect()

    assert garbage_collector._measure not in gc.callbacks
    assert sample_value(f"{NAME}_count") is None


def test_it_can_be_switched_off():
    for switches in ({"DISABLED_METRICS": [NAME]}, {"ENABLED": False}):
        settings = {"EXTRA_METRICS": [NAME], **switches}
        with PAUSES, override_settings(TACHIKOMA_METRICS=settings):
            assert garbage_collector._measure not in gc.callbacks


@pytest.mark.usefixtures("_no_automatic_runs")
def test_a_run_during_which_it_is_switched_on_is_not_recorded():
    with PAUSES:
        garbage_collector._measure("stop", {"generation": 2})

        assert sample_value(f"{NAME}_count") == 0


def test_runs_in_threads_that_record_are_all_recorded():
    def make_garbage() -> None:
        for _ in range(20_000):
            cycle: list[object] = []
            cycle.append(cycle)

    with PAUSES:
        before = sum(one["collections"] for one in gc.get_stats())
        with increase_of(f"{NAME}_count") as runs:
            threads = [threading.Thread(target=make_garbage) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            gc.collect()
        made = sum(one["collections"] for one in gc.get_stats()) - before

    assert runs.amount >= 1
    assert abs(runs.amount - made) <= 5
