"""Operations of caches and how long they take: each call of the app counts once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.test import override_settings

from tachikoma_metrics import testing
from tachikoma_metrics.testing import sample_value, samples
from tests.cache.samples import errors, hits_and_misses

DOWN = {"BACKEND": "tests.cache.backends.Down"}
METRICS = ["cache_operations_total", "cache_operation_duration_seconds"]
CALLS: dict[str, tuple[Any, ...]] = {
    "set": ("number", 1),
    "get": ("number",),
    "get_many": (["number", "gone"],),
    "get_or_set": ("new", lambda: 1),
    "has_key": ("number",),
    "add": ("number", 1),
    "touch": ("number",),
    "incr": ("number",),
    "decr": ("number",),
    "set_many": ({"a": 1, "b": 2},),
    "delete_many": (["a", "b"],),
    "incr_version": ("number",),
    "delete": ("number",),
    "clear": (),
}


@pytest.fixture(autouse=True)
def _switched_on() -> Iterator[None]:
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": METRICS}):
        yield


def operations(name: str = "cache_operations_total") -> dict[str, float]:
    return {
        dict(labels)["operation"]: value
        for (found, labels), value in samples().items()
        if found == name
    }


def test_each_call_counts_once_and_is_timed(filled: Any):
    # The fixture fills the cache.
    testing.reset()
    for name, arguments in CALLS.items():
        getattr(filled, name)(*arguments)

    assert operations() == dict.fromkeys(CALLS, 1)
    assert operations("cache_operation_duration_seconds_count") == dict.fromkeys(CALLS, 1)
    assert errors() == 0


async def test_each_async_call_counts_once(filled: Any):
    # The fixture fills the cache.
    testing.reset()
    for name, arguments in CALLS.items():
        await getattr(filled, f"a{name}")(*arguments)

    assert operations() == dict.fromkeys(CALLS, 1)
    assert errors() == 0


def test_hits_and_misses_are_counted_as_before(filled: Any):
    found = [filled.get(key, 5) for key in ("there", "gone", "number")]

    assert found == ["value", 5, 7]
    assert hits_and_misses() == (2, 1)


def test_a_call_for_another_cache_within_one_counts_as_well():
    cache.get_or_set("key", lambda: caches["far"].get("gone", 1))

    assert operations() == {"get_or_set": 1, "get": 1}


def test_failed_operations_count():
    with override_settings(CACHES={"default": DOWN}):
        with pytest.raises(ConnectionError):
            cache.get("key")
        with pytest.raises(ConnectionError):
            asyncio.run(cache.aset("key", 1))

    assert operations() == {"get": 1, "set": 1}


def test_the_duration_is_that_of_the_call():
    def compute() -> int:
        time.sleep(0.05)
        return 1

    cache.get_or_set("key", compute)

    seconds = sample_value("cache_operation_duration_seconds_sum", operation="get_or_set") or 0
    assert 0.05 <= seconds < 5


@pytest.mark.parametrize("metric", METRICS)
def test_each_of_the_metrics_can_be_on_alone(metric: str):
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": [metric]}):
        cache.get("key")
        shown = {name for name, _ in samples() if name.startswith("cache_operation")}

    assert shown
    assert all(name.startswith(metric) for name in shown)
    assert hits_and_misses() == (0, 1)


def test_nothing_counts_when_they_are_off():
    with override_settings(TACHIKOMA_METRICS={}):
        cache.get("key")
        cache.set("key", 1)
    with override_settings(
        TACHIKOMA_METRICS={"EXTRA_METRICS": METRICS, "INSTRUMENT_CACHES": False}
    ):
        cache.get("key")

    assert operations() == {}
