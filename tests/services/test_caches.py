"""Caches of real servers: the same counts on each, and none of their troubles on the page."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.core.cache import caches
from django.test import override_settings

from tachikoma_metrics import testing
from tests.cache.lookups import ASYNC_LOOKUPS, LOOKUPS, VALUES
from tests.services.caches import memcached, redis_server, silent_server
from tests.services.processes import eventually, free_port
from tests.services.sites import Site, children, total

KINDS = {
    "redis": "django.core.cache.backends.redis.RedisCache",
    "django-redis": "django_redis.cache.RedisCache",
    "memcached": "django.core.cache.backends.memcached.PyMemcacheCache",
}
REDIS = [KINDS["redis"], KINDS["django-redis"]]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Run the servers and return where they are, by the backend."""
    with (
        redis_server(tmp_path_factory.mktemp("redis")) as redis,
        memcached(tmp_path_factory.mktemp("memcached")) as memory,
    ):
        yield {
            KINDS["redis"]: f"redis://127.0.0.1:{redis}/0",
            KINDS["django-redis"]: f"redis://127.0.0.1:{redis}/1",
            KINDS["memcached"]: f"127.0.0.1:{memory}",
        }


@pytest.fixture(params=list(KINDS.values()), ids=list(KINDS))
def filled(request: pytest.FixtureRequest, servers: dict[str, str]) -> Iterator[Any]:
    """Lend a cache of each kind, as ``default``, with what is in it at first."""
    params = {"BACKEND": request.param, "LOCATION": servers[request.param]}
    with override_settings(CACHES={"default": params}):
        cache = caches["default"]
        cache.clear()
        cache.set_many(VALUES)
        yield cache
        close(cache)


def close(cache: Any) -> None:
    """Close a cache's connections, which the clients keep as long as their threads live."""
    if hasattr(cache, "client"):
        cache.client.get_client().connection_pool.disconnect()
    elif hasattr(cache._cache, "_pools"):
        for pool in cache._cache._pools.values():
            pool.disconnect()
    else:
        cache.close()


def counted() -> tuple[float, float]:
    page, series = testing.samples(), frozenset[tuple[str, str]]()
    return page.get(("cache_hits_total", series), 0), page.get(("cache_misses_total", series), 0)


def faults() -> float:
    return testing.sample_value("tachikoma_metrics_errors_total", source="cache") or 0


@pytest.mark.parametrize("name", LOOKUPS)
def test_each_key_counts_once(filled: Any, name: str):
    call, hits, misses = LOOKUPS[name]

    call(filled)

    assert counted() == (hits, misses)
    assert faults() == 0


@pytest.mark.parametrize("name", ASYNC_LOOKUPS)
async def test_each_key_counts_once_in_async_code(filled: Any, name: str):
    call, hits, misses = ASYNC_LOOKUPS[name]

    await call(filled)

    assert counted() == (hits, misses)
    assert faults() == 0


def test_a_server_tells_its_size(filled: Any):
    # Memcached counts what was cleared until it needs the room, or has another of that name.
    name = f"more-{uuid.uuid4()}"
    before = testing.sample_value("cache_size")
    filled.set(name, 1)
    between = testing.sample_value("cache_size")
    filled.delete(name)

    assert before is not None
    assert before >= 3
    assert between == before + 1
    assert testing.sample_value("cache_size") == before
    assert faults() == 0


def ways_to_name(port: str) -> dict[str, dict[str, Any]]:
    """Return the settings of caches that all are in one Redis database."""
    django, other = REDIS
    at = f"redis://127.0.0.1:{port}"
    return {
        "plain": {"BACKEND": django, "LOCATION": f"{at}/3"},
        "prefix": {"BACKEND": django, "LOCATION": f"{at}/3", "KEY_PREFIX": "one"},
        "list": {"BACKEND": django, "LOCATION": [f"{at}/3"]},
        "host": {"BACKEND": django, "LOCATION": f"redis://localhost:{port}/3"},
        "query": {"BACKEND": django, "LOCATION": f"{at}?db=3"},
        "option": {"BACKEND": django, "LOCATION": at, "OPTIONS": {"db": 3}},
        "text": {"BACKEND": django, "LOCATION": at, "OPTIONS": {"db": "3"}},
        "other options": {
            "BACKEND": django,
            "LOCATION": f"{at}/3",
            "OPTIONS": {"socket_timeout": 5},
        },
        "django-redis": {"BACKEND": other, "LOCATION": f"{at}/3"},
        "django-redis with options": {
            "BACKEND": other,
            "LOCATION": [at],
            "OPTIONS": {"CONNECTION_POOL_KWARGS": {"db": 3}},
        },
    }


def close_all() -> None:
    for alias in caches:
        if "redis" in type(caches[alias]).__module__ or hasattr(caches[alias], "_cache"):
            close(caches[alias])


@pytest.mark.parametrize("name", ways_to_name("0"))
def test_one_redis_database_is_counted_once_whatever_it_is_called(
    servers: dict[str, str], name: str
):
    port = servers[KINDS["redis"]].rpartition(":")[2].partition("/")[0]
    ways = ways_to_name(port)
    elsewhere = {"BACKEND": KINDS["redis"], "LOCATION": f"redis://127.0.0.1:{port}/4"}
    with override_settings(
        CACHES={"default": ways["plain"], "same": ways[name], "elsewhere": elsewhere}
    ):
        for alias in ("default", "elsewhere"):
            caches[alias].clear()
        caches["same"].set_many({"one": 1, "two": 2})
        caches["elsewhere"].set("three", 3)

        assert testing.sample_value("cache_size") == 3
        assert faults() == 0
        close_all()


def test_an_account_that_may_not_ask_for_the_server_is_no_fault(servers: dict[str, str]):
    port = servers[KINDS["redis"]].rpartition(":")[2].partition("/")[0]
    backend = {"BACKEND": KINDS["redis"]}
    with override_settings(CACHES={"default": {**backend, "LOCATION": servers[KINDS["redis"]]}}):
        cache: Any = caches["default"]
        client = cache._cache.get_client(None, write=True)
        client.execute_command("ACL", "SETUSER", "limited", "on", "nopass", "~*", "+@all", "-info")
        close_all()
    places = [f"redis://limited:none@{host}:{port}/5" for host in ("localhost", "127.0.0.1")]
    two = {f"on {place}": {**backend, "LOCATION": place} for place in places}
    with override_settings(CACHES={"default": {**backend, "LOCATION": [*places]}, **two}):
        caches["default"].clear()
        caches["default"].set("key", 1)

        assert testing.sample_value("cache_size") == 1
        assert faults() == 0
        close_all()


def site_with(new_site: Callable[..., Site], **params: Any) -> Site:
    return new_site(CACHES=json.dumps({"default": params}))


def test_local_caches_of_all_workers_add_up(new_site: Callable[..., Site]):
    site = site_with(new_site, BACKEND="django.core.cache.backends.locmem.LocMemCache")
    with site.gunicorn("-w", "2") as server:
        had: dict[str, set[str]] = {}
        asked = 0

        def both_have_some() -> bool:
            nonlocal asked
            for number in range(50):
                asked += 1
                key = f"key-{number % 10}"
                had.setdefault(site.get(f"/keep/{key}/"), set()).add(key)
            return len(had) == 2

        # On a busy machine one of the two may answer all for a while.
        eventually(both_have_some)
        page = site.page()

        assert total(page, "cache_size") == sum(map(len, had.values()))
        assert total(page, "cache_misses_total") == sum(map(len, had.values()))
        assert total(page, "cache_hits_total") == asked - sum(map(len, had.values()))

        gone = int(next(iter(had)))
        os.kill(gone, 9)
        eventually(lambda: gone not in children(server))
        del had[str(gone)]
        eventually(lambda: total(site.page(), "cache_size") == sum(map(len, had.values())))


def test_a_size_that_several_processes_ask_for_is_shown_once(
    new_site: Callable[..., Site], servers: dict[str, str]
):
    backend = KINDS["redis"]
    location = f"{servers[backend].removesuffix('/0')}/2"
    site = site_with(new_site, BACKEND=backend, LOCATION=location)
    with site.gunicorn("-w", "2"):
        for number in range(5):
            site.get(f"/keep/key-{number}/")

        assert {total(site.page(), "cache_size") for _ in range(10)} == {5}


LOOK_UP = "from tachikoma_metrics import record_cache_miss; record_cache_miss()"


@pytest.mark.parametrize("backend", list(KINDS.values()), ids=list(KINDS))
def test_a_cache_is_asked_once_any_process_has_used_it(
    new_site: Callable[..., Site], servers: dict[str, str], backend: str
):
    site = site_with(new_site, BACKEND=backend, LOCATION=servers[backend])
    with site.gunicorn("-w", "1"):
        assert ("cache_size", frozenset()) not in site.page()
        imported = site.get("/imported/").split()
        assert not {"redis", "django_redis", "pymemcache"} & set(imported)

        site.command("shell", "-c", LOOK_UP)
        assert ("cache_size", frozenset()) in site.page()


@pytest.mark.parametrize(
    "backend", [KINDS["redis"], pytest.param(KINDS["django-redis"], marks=pytest.mark.thorough)]
)
def test_a_server_that_is_down_costs_its_sample_only(new_site: Callable[..., Site], backend: str):
    site = site_with(new_site, BACKEND=backend, LOCATION=f"redis://127.0.0.1:{free_port()}/0")
    with site.gunicorn("-w", "1"):
        site.command("shell", "-c", LOOK_UP)
        page = site.page()

        assert ("cache_size", frozenset()) not in page
        assert total(page, "tachikoma_metrics_errors_total", source="cache") >= 1
        assert (total(page, "cache_hits_total"), total(page, "cache_misses_total")) == (0, 1)


@pytest.mark.parametrize("backend", [*REDIS, KINDS["memcached"]], ids=list(KINDS))
def test_a_server_that_never_answers_costs_a_second_once(
    new_site: Callable[..., Site], backend: str
):
    with silent_server() as port:
        scheme, path = ("redis://", "/0") if backend in REDIS else ("", "")
        site = site_with(new_site, BACKEND=backend, LOCATION=f"{scheme}127.0.0.1:{port}{path}")
        with site.gunicorn("-w", "1"):
            site.command("shell", "-c", LOOK_UP)
            started_at = time.perf_counter()
            pages = [site.page() for _ in range(20)]

            assert time.perf_counter() - started_at < 5
            assert ("cache_size", frozenset()) not in pages[-1]
            assert total(pages[-1], "tachikoma_metrics_errors_total", source="cache") == 1
