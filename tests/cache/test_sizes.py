"""The number of entries of each cache."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.cache import cache, caches
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.management import call_command
from django.test import override_settings

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import TEXT
from tests.cache.samples import errors, size
from tests.cache.settings import (
    DATABASE,
    DUMMY,
    FILES,
    LABELED_BY_CACHE,
    local_cache,
)
from tests.services.processes import eventually


def test_a_local_cache_has_a_size():
    assert size() is None

    cache.set_many({"one": 1, "two": 2})
    assert size() == 2
    cache.delete("one")
    assert size() == 1
    cache.set("two", 2, timeout=0)
    cache.get("two")
    assert size() == 0


async def test_a_local_cache_has_a_size_in_async_code():
    await cache.aset("key", 1)

    assert size() == 1


def test_local_caches_add_up():
    cache.set("key", 1)
    caches["far"].set_many({"one": 1, "two": 2})

    assert size() == 3
    with override_settings(TACHIKOMA_METRICS=LABELED_BY_CACHE):
        cache.get("key")
        caches["far"].get("one")

        assert (size(cache="default"), size(cache="far")) == (1, 2)


def test_local_caches_of_one_location_count_once():
    params = local_cache()
    with override_settings(CACHES={"default": params, "far": params}):
        cache.set("key", 1)
        caches["far"].set("other", 1)
        assert size() == 2

        with override_settings(TACHIKOMA_METRICS=LABELED_BY_CACHE):
            cache.set("third", 1)

            assert (size(cache="default"), size(cache="far")) == (3, 3)


def test_files_are_counted(tmp_path: Path):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path / "cache")}
    with override_settings(CACHES={"default": params, "same": params, "local": local_cache()}):
        caches["local"].set("key", 1)
        cache.set_many({"one": 1, "two": 2})

        assert size() == 3
        with override_settings(TACHIKOMA_METRICS=LABELED_BY_CACHE):
            assert (size(cache="default"), size(cache="same")) == (2, 2)


@pytest.mark.django_db(transaction=True)
def test_rows_are_counted():
    with override_settings(CACHES={"default": {"BACKEND": DATABASE, "LOCATION": "cache_table"}}):
        call_command("createcachetable")
        cache.clear()
        cache.set("key", 1)

        assert size() == 1


def test_a_cache_that_fails_has_no_sample(tmp_path: Path):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    with (
        override_settings(CACHES={"default": params, "local": local_cache()}),
        mock.patch.object(FileBasedCache, "_list_cache_files", side_effect=OSError("gone")),
    ):
        caches["local"].set("key", 1)

        assert size() == 1
        assert errors() >= 1


@pytest.mark.parametrize(
    "config",
    [
        {"INSTRUMENT_CACHES": False},
        {"DISABLED_METRICS": ["cache_size"]},
        {"ENABLED": False},
    ],
)
def test_no_cache_is_queried_if_the_metric_is_off(tmp_path: Path, config: dict[str, Any]):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    with (
        override_settings(CACHES={"default": params}, TACHIKOMA_METRICS=config),
        mock.patch.object(FileBasedCache, "_list_cache_files", return_value=[]) as listed,
    ):
        assert size() is None

    listed.assert_not_called()


def test_no_cache_is_queried_for_a_scrape_of_other_metrics(tmp_path: Path):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    with (
        override_settings(CACHES={"default": params}),
        mock.patch.object(FileBasedCache, "_list_cache_files", return_value=[]) as listed,
    ):
        METRICS.page(TEXT, frozenset({"http_requests_total"}))
        listed.assert_not_called()
        assert "cache_size 0.0" in METRICS.page(TEXT, frozenset({"cache_size"}))


def test_a_query_that_is_still_running_is_not_started_again(tmp_path: Path):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    may_answer = threading.Event()
    threads_of_queries = []

    def list_files(backend: FileBasedCache) -> list[str]:
        threads_of_queries.append(threading.current_thread())
        may_answer.wait(30)
        return ["one"]

    with (
        override_settings(CACHES={"default": params}),
        mock.patch.object(FileBasedCache, "_list_cache_files", list_files),
    ):
        assert [size(), size(), size()] == [None, None, None]
        assert len(threads_of_queries) == 1
        assert errors() == 1

        may_answer.set()
        threads_of_queries[0].join(10)
        # The next scrape starts a new query, and the one after it has the result.
        size()
        eventually(lambda: len(threads_of_queries) == 2)
        threads_of_queries[1].join(10)
        assert size() == 1
        assert errors() == 1


def test_a_size_is_kept_if_closing_the_cache_fails(tmp_path: Path):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    with (
        override_settings(CACHES={"default": params}),
        mock.patch.object(FileBasedCache, "close", side_effect=OSError("closed already")),
    ):
        assert size() == 0
        # Each of the two scrapes queried the cache.
        assert errors() == 2


def test_a_value_that_the_project_sets_is_exposed():
    METRICS.cache_size.set(5)

    assert size() == 5


def test_the_dummy_cache_is_instrumented():
    with override_settings(CACHES={"default": {"BACKEND": DUMMY}}):
        assert isinstance(caches["default"], DummyCache)
