"""How each backend reports its number of entries: a command of Redis, statistics of memcached..."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from django.core.cache.backends.redis import RedisCacheClient
from django.db import connections, router
from django.utils.module_loading import import_string

from tachikoma_metrics import catalogue
from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.registry import METRICS

Size = tuple[float, object]
"""The number of a cache's entries, and an identifier of their location; None if unknown."""

SizeQuery = Callable[[Any, bool], Size]
"""Returns a cache's size, with its location if the flag is set; raises its client's errors."""


def size_query_for(backend: str) -> SizeQuery | None:
    """Return the query for a backend, if it reports its size and may be imported."""
    return _query_of(backend) if _is_usable(backend) else None


# --- queries ----------------------------------------------------------------


def _redis(cache: Any, needs_location: bool) -> Size:
    client = cache._cache.get_client(None, write=True)
    try:
        return _size_of_client(client, needs_location)
    finally:
        # Django's pool is of this thread, and nothing else closes it; the pool of another
        # client may be shared by the whole process.
        if type(cache._cache).__module__ == RedisCacheClient.__module__:
            client.connection_pool.disconnect()


def _django_redis(cache: Any, needs_location: bool) -> Size:
    return _size_of_client(cache.client.get_client(write=True), needs_location)


def _size_of_client(client: Any, needs_location: bool) -> Size:
    return float(client.dbsize()), _redis_location(client) if needs_location else None


def _redis_location(client: Any) -> object:
    """Return which database of which server a client uses, however its settings name it."""
    with suppress(Exception):
        options = client.connection_pool.connection_kwargs
        return "redis", _redis_server(client, options), int(options.get("db") or 0)
    return None


def _redis_server(client: Any, options: Mapping[str, Any]) -> object:
    # An account may lack the permission for INFO, and compatible servers may have no run id.
    with suppress(Exception):
        return client.info("server")["run_id"]
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return options.get("path") or ("127.0.0.1" if host in _LOOPBACK else host, int(port))


_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _without_location(size: Callable[[Any], float]) -> SizeQuery:
    return lambda cache, needs_location: (size(cache), None)


@_without_location
def _pymemcache(cache: Any) -> float:
    servers = cache._cache.clients.values()
    return float(sum(int(server.stats()[b"curr_items"]) for server in servers))


@_without_location
def _pylibmc(cache: Any) -> float:
    return float(sum(int(stats["curr_items"]) for _, stats in cache._cache.get_stats()))


@_without_location
def _database(cache: Any) -> float:
    connection = connections[router.db_for_read(cache.cache_model_class)]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(cache._table)}")  # noqa: S608  # A quoted name.
        return float(cursor.fetchone()[0])


@_without_location
def _files(cache: Any) -> float:
    return float(len(cache._list_cache_files()))


_QUERIES: dict[str, SizeQuery] = {
    "django.core.cache.backends.redis.RedisCache": _redis,
    "django_redis.cache.RedisCache": _django_redis,
    "django.core.cache.backends.memcached.PyMemcacheCache": _pymemcache,
    "django.core.cache.backends.memcached.PyLibMCCache": _pylibmc,
    "django.core.cache.backends.db.DatabaseCache": _database,
    "django.core.cache.backends.filebased.FileBasedCache": _files,
}


def _query_of(backend: str) -> SizeQuery | None:
    """Return the query of a backend, or of the first base class that has one."""
    for base in getattr(import_string(backend), "__mro__", ()):
        query = _QUERIES.get(f"{base.__module__}.{base.__qualname__}")
        if query is not None:
            return query
    return None


# --- imports ----------------------------------------------------------------

_LIBRARIES: dict[SizeQuery | None, str] = {
    _redis: "redis",
    _django_redis: "redis",
    _pymemcache: "pymemcache",
}

_DJANGO_BACKENDS = "django.core.cache.backends."
"""Modules that import no client library."""


def _is_usable(backend: str) -> bool:
    """Return whether the library of a backend is imported, or may be imported now.

    A client library takes time and memory that a process without lookups does not need. Once
    any process of the service has looked up a key, each process imports the library, in the
    thread of the scrape: two threads that import it from two ends would deadlock.
    """
    if _is_imported(backend):
        return True
    if not METRICS.has_counted(catalogue.CACHE_HITS, catalogue.CACHE_MISSES):
        return False
    library = _LIBRARIES.get(_query_of(backend))
    if library is not None:
        import_module(library)
    return True


def _is_imported(backend: str) -> bool:
    module = backend.rpartition(".")[0]
    if not module.startswith(_DJANGO_BACKENDS) and not _has_module(module):
        return False
    library = _LIBRARIES.get(_query_of(backend))
    return library is None or _has_module(library)


def _has_module(name: str) -> bool:
    """Return whether a module is imported completely."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return name in sys.modules and not getattr(spec, "_initializing", False)
