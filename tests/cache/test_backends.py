"""Instrumented backends behave like the original ones, and the settings choose them."""

from __future__ import annotations

import asyncio
import copy
import inspect
import pickle
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.cache import InvalidCacheBackendError, cache, caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings

from tachikoma_metrics.cache.backends import install
from tests.cache import backends
from tests.cache.samples import errors, hits_and_misses, size
from tests.cache.settings import (
    FILES,
    custom_cache,
    local_cache,
)
from tests.conftest import found

# --- the original class -----------------------------------------------------


def test_a_backend_keeps_its_class():
    backend = caches["default"]

    assert isinstance(backend, LocMemCache)
    assert issubclass(type(backend), BaseCache)
    assert backend.__class__ is LocMemCache
    assert repr(type(backend)) == repr(LocMemCache)
    assert inspect.signature(backend.get) == inspect.signature(LocMemCache("", {}).get)
    assert inspect.iscoroutinefunction(backend.aget)
    assert backend.get.__doc__ == LocMemCache.get.__doc__


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_copies_and_pickles_have_the_original_class(tmp_path: Path, protocol: int):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    with override_settings(CACHES={"default": params}):
        backend = caches["default"]
        backend.set("key", 1)
        copies = [
            pickle.loads(pickle.dumps(backend, protocol)),  # noqa: S301
            copy.copy(backend),
            copy.deepcopy(backend),
        ]

    for made in copies:
        assert type(made) is FileBasedCache
        assert vars(made) == vars(backend)
        assert made.get("key") == 1


def test_the_class_may_be_patched_and_unpatched():
    with mock.patch.object(LocMemCache, "get", return_value=3) as get:
        assert cache.get("key", 5) == 3
    get.assert_called_once_with("key", 5)

    assert cache.get("key", 5) == 5
    assert hits_and_misses() == (1, 1)


def test_an_object_may_be_patched_and_unpatched():
    with mock.patch.object(caches["default"], "get", return_value=3) as get:
        assert cache.get("key", 5) == 3
    get.assert_called_once_with("key", 5)

    assert cache.get("key", 5) == 5
    assert hits_and_misses() == (0, 1)


def test_other_instrumentation_that_replaces_methods_keeps_working():
    seen = []

    make = type(caches).create_connection

    def create(handler: Any, alias: str) -> Any:
        backend: Any = make(handler, alias)
        get = backend.get

        def get_and_append(*args: Any, **kwargs: Any) -> Any:
            seen.append((args, kwargs))
            return get(*args, **kwargs)

        backend.get = get_and_append
        return backend

    with (
        mock.patch.object(type(caches), "create_connection", create),
        override_settings(CACHES={"default": local_cache()}),
    ):
        cache.set("key", 1)
        assert cache.get("key") == 1
        assert asyncio.run(cache.aget("key")) == 1
        assert cache.get_or_set("gone", 3) == 3

    assert seen[0] == (("key",), {})
    assert seen[1] == (("key", None, None), {})
    assert hits_and_misses() == (2, 1)


def test_a_backend_whose_class_cannot_be_replaced_is_left_alone():
    with override_settings(CACHES={"default": custom_cache("Odd")}):
        assert cache.get("key") == "value"
        backend: Any = caches["default"]
        assert type(backend) is backends.Odd

    assert hits_and_misses() == (0, 0)
    assert errors() == 1


def test_one_object_for_two_aliases_counts_once():
    with override_settings(
        CACHES={"default": custom_cache("Single"), "far": custom_cache("Single")}
    ):
        assert caches["default"] is caches["far"]
        caches["far"].get("gone")

    assert hits_and_misses() == (0, 1)


def test_installing_twice_counts_once():
    install()
    install()

    with override_settings(CACHES={"default": local_cache()}):
        cache.get("gone")

    assert hits_and_misses() == (0, 1)


def test_an_unknown_backend_raises_djangos_error():
    with (
        override_settings(CACHES={"default": {"BACKEND": "tests.nowhere.Cache"}}),
        pytest.raises(InvalidCacheBackendError, match=r"tests\.nowhere"),
    ):
        cache.get("key")


# --- settings ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "is_counted"),
    [
        ({"INSTRUMENT_CACHES": True}, True),
        ({"INSTRUMENT_CACHES": False}, False),
        ({"INSTRUMENT_CACHES": ["default"]}, True),
        ({"INSTRUMENT_CACHES": ["far"]}, False),
        ({"ENABLED": False}, False),
    ],
)
def test_the_settings_choose_the_caches_that_are_measured(config: dict[str, Any], is_counted: bool):
    with override_settings(TACHIKOMA_METRICS=config):
        cache.set("key", 1)
        cache.get("key")
        asyncio.run(cache.aget("key"))

        assert hits_and_misses() == ((2, 0) if is_counted else (0, 0))
        assert size() == (1 if is_counted else None)

    cache.get("key")
    assert hits_and_misses() == ((3, 0) if is_counted else (1, 0))
    assert size() == 1


def test_an_unknown_alias_in_the_settings_is_a_warning():
    with override_settings(TACHIKOMA_METRICS={"INSTRUMENT_CACHES": ["defualt", "far"]}):
        message = found()["W011"]

    assert message.msg == "Unknown alias 'defualt' in INSTRUMENT_CACHES. Did you mean 'default'?"
