"""Exceptions that operations of a cache raise, by operation; the caller gets each unchanged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings

from tachikoma_metrics.testing import samples
from tests.cache.samples import errors, hits_and_misses

DOWN = {"BACKEND": "tests.cache.backends.Down"}
METHODS: dict[str, tuple[Any, ...]] = {
    "get": ("key",),
    "get_many": (["key"],),
    "has_key": ("key",),
    "set": ("key", 1),
    "add": ("key", 1),
    "touch": ("key",),
    "delete": ("key",),
    "set_many": ({"key": 1},),
    "delete_many": (["key"],),
    "incr": ("key",),
    "decr": ("key",),
    "incr_version": ("key",),
    "decr_version": ("key",),
    "clear": (),
}


def failed() -> dict[str, float]:
    """Return the errors that were recorded, by operation."""
    return {operation: value for operation, value in counted().items() if value}


def counted() -> dict[str, float]:
    """Return the values of all time series, by operation."""
    return {
        dict(labels)["operation"]: value
        for (name, labels), value in samples().items()
        if name == "cache_errors_total"
    }


def sync(method: str) -> None:
    getattr(cache, method)(*METHODS[method])


def in_async_code(method: str) -> None:
    asyncio.run(getattr(cache, f"a{method}")(*METHODS[method]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("call", [sync, in_async_code])
def test_each_failed_operation_counts_once(method: str, call: Callable[[str], None]):
    with override_settings(CACHES={"default": DOWN}):
        for _ in range(2):
            with pytest.raises(ConnectionError, match="no answer"):
                call(method)

    assert failed() == {method: 2}
    assert hits_and_misses() == (0, 0)
    assert errors() == 0


def test_in_counts_as_has_key():
    with override_settings(CACHES={"default": DOWN}), pytest.raises(ConnectionError):
        _ = "key" in cache

    assert failed() == {"has_key": 1}


def test_get_or_set_counts_as_the_operation_that_failed():
    with override_settings(CACHES={"default": DOWN}):
        with pytest.raises(ConnectionError):
            cache.get_or_set("key", 1)
        with pytest.raises(ConnectionError):
            asyncio.run(cache.aget_or_set("key", 1))

    assert failed() == {"get": 2}


def test_an_exception_of_the_callable_of_get_or_set_is_no_error_of_the_cache():
    def fail() -> int:
        raise OSError("not the cache")

    with pytest.raises(OSError, match="not the cache"):
        cache.get_or_set("key", fail)

    assert failed() == {}


def test_a_missing_number_or_version_is_no_error():
    for method in ("incr", "decr", "incr_version", "decr_version"):
        with pytest.raises(ValueError, match="not found"):
            getattr(cache, method)("gone")

    assert failed() == {}


def test_a_value_that_cannot_be_stored_is_a_failed_set():
    class Unstorable:
        def __reduce__(self) -> str:
            raise TypeError("it has a lock")

    with pytest.raises(TypeError, match="it has a lock"):
        cache.set("key", Unstorable())

    assert failed() == {"set": 1}


def test_each_operation_is_at_zero_from_the_first_use_of_a_cache():
    with override_settings(CACHES={"default": DOWN}):
        _ = caches["default"]
        assert counted() == {}
        with pytest.raises(ConnectionError):
            cache.set("key", 1)

        assert counted() == {**dict.fromkeys(METHODS, 0), "set": 1}


def test_each_operation_is_at_zero_after_a_hit(filled: Any):
    for _ in range(2):
        filled.get("known")

    assert counted() == dict.fromkeys(METHODS, 0)


async def test_each_operation_is_at_zero_after_a_hit_of_an_async_method(filled: Any):
    await filled.aget("known")

    assert counted() == dict.fromkeys(METHODS, 0)


def test_a_cache_that_is_not_listed_has_no_zeros():
    settings = {"INSTRUMENT_CACHES": ["other"]}
    with override_settings(CACHES={"default": DOWN}, TACHIKOMA_METRICS=settings):
        with pytest.raises(ConnectionError):
            cache.get("key")

        assert counted() == {}


def test_a_label_separates_the_caches():
    labels = {"LABELS": {"cache_errors_total": ["operation", "cache"]}}
    with override_settings(
        CACHES={"default": {"BACKEND": f"{LocMemCache.__module__}.LocMemCache"}, "far": DOWN},
        TACHIKOMA_METRICS=labels,
    ):
        cache.get("key")
        with pytest.raises(ConnectionError):
            caches["far"].get("key")
        found = {
            labels
            for (name, labels), value in samples().items()
            if name == "cache_errors_total" and value
        }

    assert found == {frozenset({("operation", "get"), ("cache", "far")})}


@pytest.mark.parametrize("wanted", [False, ["far"]], ids=str)
def test_caches_that_are_not_measured_count_nothing(wanted: object):
    settings = {"INSTRUMENT_CACHES": wanted}
    with override_settings(CACHES={"default": DOWN, "far": DOWN}, TACHIKOMA_METRICS=settings):
        call: Callable[..., Any] = cache.get
        with pytest.raises(ConnectionError):
            call("key")

    assert failed() == {}
