from __future__ import annotations

import asyncio
import contextvars
import copy
import gc
import inspect
import pickle
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.contrib.sessions.backends.cache import SessionStore
from django.core.cache import InvalidCacheBackendError, cache, caches
from django.core.cache.backends.base import BaseCache
from django.core.cache.backends.dummy import DummyCache
from django.core.cache.backends.filebased import FileBasedCache
from django.core.cache.backends.locmem import LocMemCache
from django.core.management import call_command
from django.http import HttpResponse
from django.template import Context, Engine
from django.test import RequestFactory, override_settings
from django.views.decorators.cache import cache_page

from tachikoma_metrics import METRICS, testing
from tachikoma_metrics.cache.backends import install
from tests.cache import backends
from tests.cache.lookups import ASYNC_LOOKUPS, LOOKUPS, VALUES
from tests.conftest import found
from tests.services.processes import eventually

LOCAL = "django.core.cache.backends.locmem.LocMemCache"
FILES = "django.core.cache.backends.filebased.FileBasedCache"
DATABASE = "django.core.cache.backends.db.DatabaseCache"
DUMMY = "django.core.cache.backends.dummy.DummyCache"
APART = {
    "LABELS": dict.fromkeys(("cache_hits_total", "cache_misses_total", "cache_size"), ("cache",))
}


def local() -> dict[str, Any]:
    """Return a cache in local memory that no other test has."""
    return {"BACKEND": LOCAL, "LOCATION": uuid.uuid4().hex}


def default() -> Any:
    return caches["default"]


def custom(name: str) -> dict[str, Any]:
    return {"BACKEND": f"tests.cache.backends.{name}"}


def counted(**labels: str) -> tuple[float, float]:
    """Return the hits and misses on the page."""
    page, series = testing.samples(), frozenset(labels.items())
    return page.get(("cache_hits_total", series), 0), page.get(("cache_misses_total", series), 0)


def size(**labels: str) -> float | None:
    return testing.sample_value("cache_size", **labels)


def faults() -> float:
    return testing.sample_value("tachikoma_metrics_errors_total", source="cache") or 0


@pytest.fixture(autouse=True)
def _new_cache() -> Iterator[None]:
    with override_settings(CACHES={"default": local(), "far": local()}):
        yield


@pytest.fixture(params=["local", "files", "database", "plain"])
def filled(request: pytest.FixtureRequest, tmp_path: Path, transactional_db: None) -> Iterator[Any]:
    """Lend a cache of each kind."""
    params = {
        "local": local(),
        "files": {"BACKEND": FILES, "LOCATION": str(tmp_path / "cache")},
        "database": {"BACKEND": DATABASE, "LOCATION": "cache_table"},
        "plain": custom("Plain"),
    }[request.param]
    with override_settings(CACHES={"default": params}):
        if request.param == "database":
            call_command("createcachetable")
        caches["default"].clear()
        caches["default"].set_many(VALUES)
        if request.param == "plain":
            # Its None is a miss: nobody knows that this `get` takes any default.
            caches["default"].set("none", False)
        yield caches["default"]


# --- look-ups ---------------------------------------------------------------


@pytest.mark.parametrize("name", LOOKUPS)
def test_each_key_counts_once(filled: Any, name: str):
    call, hits, misses = LOOKUPS[name]
    if name == "get with its default stored" and isinstance(filled, backends.Plain):
        hits, misses = 0, 1

    call(filled)

    assert counted() == (hits, misses)
    assert faults() == 0


@pytest.mark.parametrize("name", ASYNC_LOOKUPS)
async def test_each_key_counts_once_in_async_code(filled: Any, name: str):
    call, hits, misses = ASYNC_LOOKUPS[name]

    await call(filled)

    assert counted() == (hits, misses)
    assert faults() == 0


@pytest.mark.parametrize("value", [None, 0, "", False, [], {}], ids=repr)
def test_a_stored_value_that_is_false_is_a_hit_and_comes_back(filled: Any, value: object):
    filled.set("key", value)

    assert filled.get("key", "default") == value
    assert filled.get_many(["key"]) == {"key": value}
    assert filled.get_or_set("key", "other") == value
    assert counted() == (3, 0)


@pytest.mark.parametrize("default", [None, 0, "", (), Exception()], ids=repr)
def test_the_callers_default_comes_back(filled: Any, default: object):
    assert filled.get("gone", default) is default
    assert filled.get("gone", default=default) is default
    assert counted() == (0, 2)


def test_the_dummy_misses_everything():
    with override_settings(CACHES={"default": {"BACKEND": DUMMY}}):
        cache.set("key", 1)

        assert cache.get("key", 5) == 5
        assert cache.get_many(["key", "other"]) == {}
        assert "key" not in cache
        assert cache.get_or_set("key", lambda: 7) == 7

    assert counted() == (0, 5)
    assert size() is None


def test_a_label_tells_the_caches_apart():
    with override_settings(TACHIKOMA_METRICS=APART):
        cache.get("gone")
        caches["far"].set("key", 1)
        caches["far"].get("key")

        assert counted(cache="default") == (0, 1)
        assert counted(cache="far") == (1, 0)


def test_other_caches_count_for_themselves():
    params = {**custom("Twofold"), "LOCATION": uuid.uuid4().hex}
    with override_settings(CACHES={"default": params, "far": local()}, TACHIKOMA_METRICS=APART):
        caches["far"].set("key", 1)

        assert cache.get("key") == 1
        assert cache.get_or_set("key", lambda: caches["far"].get("gone")) == 1
        assert counted(cache="default") == (2, 0)
        assert counted(cache="far") == (2, 0)


def test_what_a_look_up_leaves_running_is_no_part_of_it():
    contexts = []
    cache.get_or_set("key", lambda: contexts.append(contextvars.copy_context()))

    contexts[0].run(cache.get, "key")

    assert counted() == (1, 1)


def test_an_error_passes_and_counts_nothing():
    with override_settings(CACHES={"default": custom("Picky")}):
        for call in (
            lambda: cache.get("bad"),
            lambda: cache.has_key("bad"),
            lambda: cache.get_many(["good", "bad"]),
            lambda: cache.get_or_set("bad", 1),
            lambda: asyncio.run(cache.aget("bad")),
        ):
            with pytest.raises(ConnectionError, match="no answer"):
                call()

        assert counted() == (0, 0)
        assert cache.get("good") is None
        assert counted() == (0, 1)


@pytest.mark.parametrize(
    "call",
    [lambda: default().get(), lambda: default().get_many(None)],
    ids=["no key", "None for keys"],
)
def test_a_wrong_call_fails_as_without(call: Callable[[], Any]):
    with pytest.raises(TypeError) as error:
        call()

    assert "quick" not in str(error.value)
    assert faults() == 0


def test_arguments_of_a_backend_of_ones_own_arrive_as_they_are():
    with (
        override_settings(CACHES={"default": custom("OwnNames")}),
        mock.patch.object(backends.Plain, "get", autospec=True, return_value=4) as get,
    ):
        assert default().get(name="key", client="mine") == 4
        assert cache.get("key") == 4
        assert default().kind() == "OwnNames"

    assert get.call_args_list == [mock.call(mock.ANY, "key", None, None)] * 2
    assert counted() == (2, 0)


def test_keys_that_can_be_iterated_once_are(filled: Any):
    made = []

    def keys() -> Iterator[str]:
        for key in ("there", "gone"):
            made.append(key)
            yield key

    assert filled.get_many(keys()) == {"there": "value"}
    assert made == ["there", "gone"]


def test_a_client_of_the_apps_own_is_given_the_callers_default():
    with override_settings(
        CACHES={"default": {**custom("Lazy"), "LOCATION": "redis://127.0.0.1:1"}}
    ):
        assert cache.get("absent", lambda: 5) == 5
        assert default().get("absent", "plain") == "plain"


def test_a_look_up_of_many_that_fails_leaves_nothing_behind():
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
    before = counted()

    def make() -> int:
        # What is left of the call before ends within this one.
        kept.clear()
        gc.collect()
        return 1

    assert cache.get_or_set("other", make) == 1
    assert counted() == (before[0], before[1] + 1)


def test_threads_count_exactly():
    cache.set("key", 1)

    def look() -> None:
        for _ in range(500):
            cache.get("key")
            cache.get_many(["key", "gone"])

    with override_settings(CACHES={"default": {"BACKEND": LOCAL, "LOCATION": "threads"}}):
        caches["default"].set("key", 1)
        threads = [threading.Thread(target=look) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert counted() == (4000, 2000)


# --- what a backend still is ------------------------------------------------


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
def test_copies_and_pickles_are_as_without(tmp_path: Path, protocol: int):
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
    assert counted() == (1, 1)


def test_an_object_may_be_patched_and_unpatched():
    with mock.patch.object(caches["default"], "get", return_value=3) as get:
        assert cache.get("key", 5) == 3
    get.assert_called_once_with("key", 5)

    assert cache.get("key", 5) == 5
    assert counted() == (0, 1)


def test_another_instrument_that_replaces_methods_of_each_object_goes_on():
    seen = []

    make = type(caches).create_connection

    def create(handler: Any, alias: str) -> Any:
        backend: Any = make(handler, alias)
        get = backend.get

        def get_and_tell(*args: Any, **kwargs: Any) -> Any:
            seen.append((args, kwargs))
            return get(*args, **kwargs)

        backend.get = get_and_tell
        return backend

    with (
        mock.patch.object(type(caches), "create_connection", create),
        override_settings(CACHES={"default": local()}),
    ):
        cache.set("key", 1)
        assert cache.get("key") == 1
        assert asyncio.run(cache.aget("key")) == 1
        assert cache.get_or_set("gone", 3) == 3

    assert seen[0] == (("key",), {})
    assert seen[1] == (("key", None, None), {})
    assert counted() == (2, 1)


def test_a_backend_that_cannot_be_watched_is_left_alone():
    with override_settings(CACHES={"default": custom("Odd")}):
        assert cache.get("key") == "value"
        assert type(default()) is backends.Odd

    assert counted() == (0, 0)
    assert faults() == 1


def test_one_object_for_two_aliases_counts_once():
    with override_settings(CACHES={"default": custom("Single"), "far": custom("Single")}):
        assert caches["default"] is caches["far"]
        caches["far"].get("gone")

    assert counted() == (0, 1)


def test_installing_twice_counts_once():
    install()
    install()

    with override_settings(CACHES={"default": local()}):
        cache.get("gone")

    assert counted() == (0, 1)


def test_an_unknown_backend_is_the_projects_error():
    with (
        override_settings(CACHES={"default": {"BACKEND": "tests.nowhere.Cache"}}),
        pytest.raises(InvalidCacheBackendError, match=r"tests\.nowhere"),
    ):
        cache.get("key")


# --- Django's own uses ------------------------------------------------------


def test_a_session_keeps_its_values():
    session = SessionStore()
    session.update({"none": None, "zero": 0, "empty": "", "no": False})
    session.save()

    loaded = SessionStore(session.session_key)

    assert dict(loaded.items()) == {"none": None, "zero": 0, "empty": "", "no": False}
    # Whether the new key was taken is a look-up, too.
    assert counted() == (1, 1)
    assert SessionStore("unknown" * 5).load() == {}
    assert counted() == (1, 2)


def test_a_cached_page_takes_two_look_ups_once_it_is_there():
    view = cache_page(60)(lambda request: HttpResponse("page"))

    assert view(RequestFactory().get("/page/")).content == b"page"
    assert counted() == (0, 1)
    assert view(RequestFactory().get("/page/")).content == b"page"
    assert counted() == (2, 1)


def test_a_cached_fragment_takes_one_look_up():
    template = Engine(libraries={"cache": "django.templatetags.cache"}).from_string(
        "{% load cache %}{% cache 60 name %}text{% endcache %}"
    )

    assert template.render(Context()) == template.render(Context()) == "text"
    assert counted() == (1, 1)


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
def test_the_settings_say_which_caches_are_measured(config: dict[str, Any], is_counted: bool):
    with override_settings(TACHIKOMA_METRICS=config):
        cache.set("key", 1)
        cache.get("key")
        asyncio.run(cache.aget("key"))

        assert counted() == ((2, 0) if is_counted else (0, 0))
        assert size() == (1 if is_counted else None)

    cache.get("key")
    assert counted() == ((3, 0) if is_counted else (1, 0))
    assert size() == 1


def test_an_alias_that_no_cache_has_is_warned_of():
    with override_settings(TACHIKOMA_METRICS={"INSTRUMENT_CACHES": ["defualt", "far"]}):
        message = found()["W011"]

    assert "'defualt'" in message.msg
    assert message.hint == "Did you mean `default`?"


# --- sizes ------------------------------------------------------------------


def test_a_local_cache_tells_its_size():
    assert size() is None

    cache.set_many({"one": 1, "two": 2})
    assert size() == 2
    cache.delete("one")
    assert size() == 1
    cache.set("two", 2, timeout=0)
    cache.get("two")
    assert size() == 0


async def test_a_local_cache_tells_its_size_in_async_code():
    await cache.aset("key", 1)

    assert size() == 1


def test_local_caches_add_up():
    cache.set("key", 1)
    caches["far"].set_many({"one": 1, "two": 2})

    assert size() == 3
    with override_settings(TACHIKOMA_METRICS=APART):
        cache.get("key")
        caches["far"].get("one")

        assert (size(cache="default"), size(cache="far")) == (1, 2)


def test_local_caches_of_one_location_are_one():
    params = local()
    with override_settings(CACHES={"default": params, "far": params}):
        cache.set("key", 1)
        caches["far"].set("other", 1)
        assert size() == 2

        with override_settings(TACHIKOMA_METRICS=APART):
            cache.set("third", 1)

            assert (size(cache="default"), size(cache="far")) == (3, 3)


def test_files_are_counted(tmp_path: Path):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path / "cache")}
    with override_settings(CACHES={"default": params, "same": params, "local": local()}):
        caches["local"].set("key", 1)
        cache.set_many({"one": 1, "two": 2})

        assert size() == 3
        with override_settings(TACHIKOMA_METRICS=APART):
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
        override_settings(CACHES={"default": params, "local": local()}),
        mock.patch.object(FileBasedCache, "_list_cache_files", side_effect=OSError("gone")),
    ):
        caches["local"].set("key", 1)

        assert size() == 1
        assert faults() >= 1


@pytest.mark.parametrize(
    "config",
    [
        {"INSTRUMENT_CACHES": False},
        {"DISABLED_METRICS": ["cache_size"]},
        {"ENABLED": False},
    ],
)
def test_nobody_is_asked_for_what_is_not_shown(tmp_path: Path, config: dict[str, Any]):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    with (
        override_settings(CACHES={"default": params}, TACHIKOMA_METRICS=config),
        mock.patch.object(FileBasedCache, "_list_cache_files", return_value=[]) as listed,
    ):
        assert size() is None

    listed.assert_not_called()


def test_nobody_is_asked_for_a_page_of_other_families(tmp_path: Path):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    with (
        override_settings(CACHES={"default": params}),
        mock.patch.object(FileBasedCache, "_list_cache_files", return_value=[]) as listed,
    ):
        from tachikoma_metrics.exposition import TEXT

        METRICS.expose(TEXT, frozenset({"http_requests_total"}))
        listed.assert_not_called()
        assert "cache_size 0.0" in METRICS.expose(TEXT, frozenset({"cache_size"}))


def test_a_slow_cache_is_not_waited_for_again(tmp_path: Path):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    may_answer = threading.Event()
    asked = []

    def list_files(backend: FileBasedCache) -> list[str]:
        asked.append(threading.current_thread())
        may_answer.wait(30)
        return ["one"]

    with (
        override_settings(CACHES={"default": params}),
        mock.patch.object(FileBasedCache, "_list_cache_files", list_files),
    ):
        assert [size(), size(), size()] == [None, None, None]
        assert len(asked) == 1
        assert faults() == 1

        may_answer.set()
        asked[0].join(10)
        # Asked again, and waited for once it has answered in time.
        size()
        eventually(lambda: len(asked) == 2)
        asked[1].join(10)
        assert size() == 1
        assert faults() == 1


def test_a_size_outlives_a_clean_up_that_fails(tmp_path: Path):
    params = {"BACKEND": FILES, "LOCATION": str(tmp_path)}
    with (
        override_settings(CACHES={"default": params}),
        mock.patch.object(FileBasedCache, "close", side_effect=OSError("closed already")),
    ):
        assert size() == 0
        # Each of the two pages has asked.
        assert faults() == 2


def test_a_projects_own_value_is_shown():
    METRICS.cache_size.set(5)

    assert size() == 5


def test_the_dummy_is_watched_too():
    with override_settings(CACHES={"default": {"BACKEND": DUMMY}}):
        assert isinstance(caches["default"], DummyCache)
