"""Hits and misses: each key counts once, whichever method looks it up."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import cache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpResponse
from django.template import Context, Engine
from django.test import RequestFactory, override_settings
from django.views.decorators.cache import cache_page

from tests.cache import backends
from tests.cache.lookups import ASYNC_LOOKUPS, LOOKUPS
from tests.cache.samples import counts, errors, hits_and_misses, size
from tests.cache.settings import (
    DUMMY,
    LABELED_BY_CACHE,
    LOCAL,
    custom_cache,
    local_cache,
)


def default() -> Any:
    """Return the default cache, for calls that its type does not allow."""
    return caches["default"]


@pytest.mark.parametrize("name", LOOKUPS)
def test_each_key_counts_once(filled: Any, name: str):
    call, hits, misses = LOOKUPS[name]
    if name == "get with its default stored" and isinstance(filled, backends.Plain):
        hits, misses = 0, 1

    call(filled)

    assert counts() == {"hits": hits, "misses": misses, "errors": 0, "our errors": 0}


@pytest.mark.parametrize("name", ASYNC_LOOKUPS)
async def test_each_key_counts_once_in_async_code(filled: Any, name: str):
    call, hits, misses = ASYNC_LOOKUPS[name]

    await call(filled)

    assert counts() == {"hits": hits, "misses": misses, "errors": 0, "our errors": 0}


@pytest.mark.parametrize("value", [None, 0, "", False, [], {}], ids=repr)
def test_a_stored_value_that_is_false_is_a_hit_and_comes_back(filled: Any, value: object):
    filled.set("key", value)

    assert filled.get("key", "default") == value
    assert filled.get_many(["key"]) == {"key": value}
    assert filled.get_or_set("key", "other") == value
    assert hits_and_misses() == (3, 0)


@pytest.mark.parametrize("default", [None, 0, "", (), Exception()], ids=repr)
def test_the_callers_default_comes_back(filled: Any, default: object):
    assert filled.get("gone", default) is default
    assert filled.get("gone", default=default) is default
    assert hits_and_misses() == (0, 2)


def test_the_dummy_cache_misses_every_key():
    with override_settings(CACHES={"default": {"BACKEND": DUMMY}}):
        cache.set("key", 1)

        assert cache.get("key", 5) == 5
        assert cache.get_many(["key", "other"]) == {}
        assert "key" not in cache
        assert cache.get_or_set("key", lambda: 7) == 7

    assert hits_and_misses() == (0, 5)
    assert size() is None


def test_a_label_separates_the_caches():
    with override_settings(TACHIKOMA_METRICS=LABELED_BY_CACHE):
        cache.get("gone")
        caches["far"].set("key", 1)
        caches["far"].get("key")

        assert hits_and_misses(cache="default") == (0, 1)
        assert hits_and_misses(cache="far") == (1, 0)


def test_nested_calls_of_another_cache_count_for_that_cache():
    params = {**custom_cache("Twofold"), "LOCATION": uuid.uuid4().hex}
    with override_settings(
        CACHES={"default": params, "far": local_cache()}, TACHIKOMA_METRICS=LABELED_BY_CACHE
    ):
        caches["far"].set("key", 1)

        assert cache.get("key") == 1
        assert cache.get_or_set("key", lambda: caches["far"].get("gone")) == 1
        assert hits_and_misses(cache="default") == (2, 0)
        assert hits_and_misses(cache="far") == (2, 0)


def test_a_task_that_outlives_a_call_is_not_nested():
    contexts = []
    cache.get_or_set("key", lambda: contexts.append(contextvars.copy_context()))

    contexts[0].run(cache.get, "key")

    assert hits_and_misses() == (1, 1)


def test_an_error_is_raised_and_counts_nothing():
    with override_settings(CACHES={"default": custom_cache("Picky")}):
        for call in (
            lambda: cache.get("bad"),
            lambda: cache.has_key("bad"),
            lambda: cache.get_many(["good", "bad"]),
            lambda: cache.get_or_set("bad", 1),
            lambda: asyncio.run(cache.aget("bad")),
        ):
            with pytest.raises(ConnectionError, match="no answer"):
                call()

        assert hits_and_misses() == (0, 0)
        assert cache.get("good") is None
        assert hits_and_misses() == (0, 1)


@pytest.mark.parametrize(
    "call",
    [lambda: default().get(), lambda: default().get_many(None)],
    ids=["no key", "None for keys"],
)
def test_a_call_with_wrong_arguments_raises_the_original_error(call: Callable[[], Any]):
    with pytest.raises(TypeError) as error:
        call()

    assert "fast_get" not in str(error.value)
    assert errors() == 0


def test_a_custom_backend_receives_the_arguments_unchanged():
    with (
        override_settings(CACHES={"default": custom_cache("OwnNames")}),
        mock.patch.object(backends.Plain, "get", autospec=True, return_value=4) as get,
    ):
        assert default().get(name="key", client="mine") == 4
        assert cache.get("key") == 4
        assert default().kind() == "OwnNames"

    assert get.call_args_list == [mock.call(mock.ANY, "key", None, None)] * 2
    assert hits_and_misses() == (2, 0)


def test_an_iterator_of_keys_is_read_once(filled: Any):
    made = []

    def keys() -> Iterator[str]:
        for key in ("there", "gone"):
            made.append(key)
            yield key

    assert filled.get_many(keys()) == {"there": "value"}
    assert made == ["there", "gone"]


def test_a_custom_client_receives_the_callers_default():
    with override_settings(
        CACHES={"default": {**custom_cache("Lazy"), "LOCATION": "redis://127.0.0.1:1"}}
    ):
        assert cache.get("absent", lambda: 5) == 5
        assert default().get("absent", "plain") == "plain"


def test_a_failed_get_many_does_not_affect_later_calls():
    caches["default"].set("key", 1)
    kept: list[Iterator[str]] = []

    def keys() -> Iterator[str]:
        yield "key"
        yield "gone"

    def fail(self: Any, keys: Any, version: Any = None) -> dict[str, Any]:
        kept.append(iter(keys))
        next(kept[-1])
        raise RuntimeError

    with mock.patch.object(LocMemCache, "get_many", fail), pytest.raises(RuntimeError):
        cache.get_many(keys())
    before = hits_and_misses()

    def make() -> int:
        # The iterator of the failed call is closed within this one.
        kept.clear()
        gc.collect()
        return 1

    assert cache.get_or_set("other", make) == 1
    assert hits_and_misses() == (before[0], before[1] + 1)


def test_threads_count_exactly():
    cache.set("key", 1)

    def look_up() -> None:
        for _ in range(500):
            cache.get("key")
            cache.get_many(["key", "gone"])

    with override_settings(CACHES={"default": {"BACKEND": LOCAL, "LOCATION": "threads"}}):
        caches["default"].set("key", 1)
        threads = [threading.Thread(target=look_up) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert hits_and_misses() == (4000, 2000)


# --- Django's own uses ------------------------------------------------------


def test_a_session_keeps_its_values():
    session = SessionStore()
    session.update({"none": None, "zero": 0, "empty": "", "no": False})
    session.save()

    loaded = SessionStore(session.session_key)

    assert dict(loaded.items()) == {"none": None, "zero": 0, "empty": "", "no": False}
    # Django also looks up whether the new session key is taken.
    assert hits_and_misses() == (1, 1)
    assert SessionStore("unknown" * 5).load() == {}
    assert hits_and_misses() == (1, 2)


def test_a_cached_page_takes_two_lookups():
    view = cache_page(60)(lambda request: HttpResponse("page"))

    assert view(RequestFactory().get("/page/")).content == b"page"
    assert hits_and_misses() == (0, 1)
    assert view(RequestFactory().get("/page/")).content == b"page"
    assert hits_and_misses() == (2, 1)


def test_a_cached_fragment_takes_one_lookup():
    template = Engine(libraries={"cache": "django.templatetags.cache"}).from_string(
        "{% load cache %}{% cache 60 name %}text{% endcache %}"
    )

    assert template.render(Context()) == template.render(Context()) == "text"
    assert hits_and_misses() == (1, 1)
