"""How many entries the caches have.

What is in local memory each process tells of itself, whenever it changes. What several
processes share is asked for when the page is, in threads that nobody waits for longer
than a second: a cache that does not answer costs its own sample, and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.redis import RedisCacheClient
from django.db import connections, router
from django.utils.module_loading import import_string

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue.labels import clean
from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.registry.deadlines import TIMEOUT_SECONDS, TimedCall, TimedCalls
from tachikoma_metrics.registry.thread_connections import closing_connections
from tachikoma_metrics.store import STORE, Cell

Told = tuple[float, object]
"""The number of a cache's entries, and where they are; None if that is not known."""

Size = Callable[[Any, bool], Told]
"""Tells a cache's size, and where it is if it is one of several; raises what its client does."""


# --- local memory -----------------------------------------------------------


class LocalCache:
    """The entries of a cache in the memory of this process.

    ``known`` is the number that was told last.
    """

    __slots__ = ("alias", "entries", "known")

    def __init__(self, alias: str, entries: Mapping[Any, Any]) -> None:
        self.alias = alias
        self.entries = entries
        self.known = -1

    def tell(self) -> None:
        """Tell how many entries there are now. Never raises."""
        try:
            bound = METRICS.bound(catalogue.CACHE_SIZE.name)
            if not bound.is_on:
                self.known = len(self.entries)
            elif bound.shape.label_names:
                self._tell_apart(bound.metric)
            else:
                cell: Cell = bound.metric.cell
                cell.follow(_of_all)
        except BaseException as error:
            # Whether it was told, nobody knows.
            self.known = -1
            if not isinstance(error, Exception):
                raise
            METRICS.count_error("cache", error, self.alias)

    def _tell_apart(self, metric: Any) -> None:
        for local in list(LOCAL.values()):
            # Caches of the same LOCATION share their entries.
            if local.entries is self.entries:
                child, _ = metric.child((clean(local.alias),))
                child.cell.follow(local.measure)

    def measure(self) -> float:
        """Return the number of entries, which is known from now on."""
        self.known = len(self.entries)
        return float(self.known)


LOCAL: dict[str, LocalCache] = {}
"""The caches in the memory of this process that are measured, by alias."""


def _of_all() -> float:
    """Return the number of entries of all caches, those that share them taken once."""
    distinct = {id(local.entries): local for local in list(LOCAL.values())}
    for local in list(LOCAL.values()):
        local.measure()
    return float(sum(local.known for local in distinct.values()))


def show_local(alias: str, local: LocalCache | None) -> None:
    """Have the entries of a cache told from now on; None if there are none to tell of."""
    if local is None:
        LOCAL.pop(alias, None)
    else:
        LOCAL[alias] = local


def forget_local() -> None:
    """Have everything told again."""
    _failing.clear()
    for local in list(LOCAL.values()):
        local.known = -1


def withdraw_local() -> None:
    """Take back what was told, for another set of caches is to be measured."""
    if LOCAL:
        LOCAL.clear()
        METRICS.bound(catalogue.CACHE_SIZE.name).metric.reset_series()


# --- what processes share ---------------------------------------------------


def _of_redis(cache: Any, is_one_of_several: bool) -> Told:
    client = cache._cache.get_client(None, write=True)
    try:
        return _of_client(client, is_one_of_several)
    finally:
        # Django's own is made for this thread alone, and closed by nobody; of others, one
        # pool may serve the whole process.
        if type(cache._cache).__module__ == RedisCacheClient.__module__:
            client.connection_pool.disconnect()


def _of_django_redis(cache: Any, is_one_of_several: bool) -> Told:
    return _of_client(cache.client.get_client(write=True), is_one_of_several)


def _of_client(client: Any, is_one_of_several: bool) -> Told:
    return float(client.dbsize()), _database_of(client) if is_one_of_several else None


def _database_of(client: Any) -> object:
    """Return which database a client of Redis has, whatever its settings call the server."""
    with suppress(Exception):
        options = client.connection_pool.connection_kwargs
        return "redis", _server_of(client, options), int(options.get("db") or 0)
    return None


def _server_of(client: Any, options: Mapping[str, Any]) -> object:
    # Not every account may ask, and not every server that speaks its protocol has one.
    with suppress(Exception):
        return client.info("server")["run_id"]
    host, port = options.get("host", "localhost"), options.get("port", 6379)
    return options.get("path") or ("127.0.0.1" if host in _THIS_HOST else host, int(port))


def _alone(size: Callable[[Any], float]) -> Size:
    return lambda cache, is_one_of_several: (size(cache), None)


@_alone
def _of_pymemcache(cache: Any) -> float:
    servers = cache._cache.clients.values()
    return float(sum(int(server.stats()[b"curr_items"]) for server in servers))


@_alone
def _of_pylibmc(cache: Any) -> float:
    return float(sum(int(stats["curr_items"]) for _, stats in cache._cache.get_stats()))


@_alone
def _of_database(cache: Any) -> float:
    connection = connections[router.db_for_read(cache.cache_model_class)]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(cache._table)}")  # noqa: S608  # A quoted name.
        return float(cursor.fetchone()[0])


@_alone
def _of_files(cache: Any) -> float:
    return float(len(cache._list_cache_files()))


_THIS_HOST = ("localhost", "127.0.0.1", "::1")

_SIZES: dict[str, Size] = {
    "django.core.cache.backends.redis.RedisCache": _of_redis,
    "django_redis.cache.RedisCache": _of_django_redis,
    "django.core.cache.backends.memcached.PyMemcacheCache": _of_pymemcache,
    "django.core.cache.backends.memcached.PyLibMCCache": _of_pylibmc,
    "django.core.cache.backends.db.DatabaseCache": _of_database,
    "django.core.cache.backends.filebased.FileBasedCache": _of_files,
}


_LIBRARIES: dict[Size | None, str] = {
    _of_redis: "redis",
    _of_django_redis: "redis",
    _of_pymemcache: "pymemcache",
}


_MODULES_OF_DJANGO = "django.core.cache.backends."
"""Import no client's library."""


def _is_in_use(backend: str) -> bool:
    """Tell whether what a backend needs is imported, or may be.

    A client's library takes time and memory that a process without look-ups does not need.
    One that looks nothing up itself imports it for the caches that other processes of the
    service use, in the thread that makes the page: two threads of this package that begin to
    import one library from two ends would wait for each other.
    """
    if _is_imported(backend):
        return True
    if not METRICS.has_counted(catalogue.CACHE_HITS, catalogue.CACHE_MISSES):
        return False
    library = _LIBRARIES.get(_size_of(backend))
    if library is not None:
        import_module(library)
    return True


def _is_imported(backend: str) -> bool:
    module = backend.rpartition(".")[0]
    if not module.startswith(_MODULES_OF_DJANGO) and not _has_module(module):
        return False
    library = _LIBRARIES.get(_size_of(backend))
    return library is None or _has_module(library)


def _has_module(name: str) -> bool:
    """Tell whether a module is imported, and no thread is still about it."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return name in sys.modules and not getattr(spec, "_initializing", False)


def _size_of(backend: str) -> Size | None:
    """Return how a backend, or the first that it is derived from, tells its size."""
    for base in getattr(import_string(backend), "__mro__", ()):
        size = _SIZES.get(f"{base.__module__}.{base.__qualname__}")
        if size is not None:
            return size
    return None


_questions = TimedCalls()


def _renew() -> None:
    """Forget the threads, in a forked child: they are the parent's."""
    _questions.forget()
    forget_local()


def asked(label_names: tuple[str, ...]) -> Mapping[tuple[str, ...], float]:
    """Return the sizes of the caches that processes share, by the values of the labels.

    Never raises: what cannot be had is left out, and counted as a fault.
    """
    measured = _measured()
    if not label_names:
        # Where caches share their entries, asking one of them is enough.
        distinct = {_place(params): (alias, params) for alias, params in measured.items()}
        measured = dict(distinct.values())
    several = len(measured) > 1 and not label_names
    questions = {alias: _question(alias, one, several) for alias, one in measured.items()}
    # All are asked before the first is waited for.
    answers = {alias: one.wait() for alias, one in questions.items() if one is not None}
    told = {alias: answer for alias, answer in answers.items() if answer is not None}
    if label_names:
        return {(clean(alias),): size for alias, (size, _) in told.items()}
    # Settings may name one place in several ways.
    sizes = {place or alias: size for alias, (size, place) in told.items()}
    return {(): sum(sizes.values())} if sizes else {}


def _measured() -> dict[str, Mapping[str, Any]]:
    """Return the settings of the caches that are measured, by alias."""
    config = conf.config()
    return {
        alias: params
        for alias, params in caches.settings.items()
        if config.instruments_cache(alias)
    }


def _place(params: Mapping[str, Any]) -> str:
    return repr([params.get(key) for key in ("BACKEND", "LOCATION", "OPTIONS")])


def _question(
    alias: str, params: Mapping[str, Any], is_one_of_several: bool
) -> TimedCall[Told] | None:
    """Return the question that a cache was, or now is, asked; None if it cannot tell."""
    fail = partial(_fail, alias)
    try:
        backend = params["BACKEND"]
        size = _size_of(backend) if _is_in_use(backend) else None
        if size is None:
            return None
        return _questions.start(
            f"size-of-cache-{alias}",
            partial(_ask, alias, size, is_one_of_several, fail),
            fail,
            _lateness(alias),
        )
    except Exception as error:
        pass_on(error)
        fail(error)
        return None


_failing: set[str] = set()
"""The caches that did not tell their size when they were asked last."""


def _fail(alias: str, error: Exception) -> None:
    # One that stays away is one fault, and not one more with each scrape.
    if alias not in _failing:
        _failing.add(alias)
        METRICS.count_and_log("cache", error, alias, is_expected=True)


def _ask(
    alias: str, size: Size, is_one_of_several: bool, on_error: Callable[[Exception], object]
) -> Told:
    with closing_connections(on_error):
        # The cache is this thread's own, too.
        cache = caches[alias]
        try:
            answer = size(cache, is_one_of_several)
        finally:
            try:
                cache.close()
            except Exception as error:
                on_error(error)
    _failing.discard(alias)
    return answer


def _lateness(alias: str) -> str:
    return (
        f"The cache {alias!r} should tell its size within {TIMEOUT_SECONDS:g} s; `cache_size` "
        "is without it. Give its client a timeout in `CACHES`, or leave it out of "
        "`INSTRUMENT_CACHES`."
    )


METRICS.on_reset(forget_local)
STORE.on_fork(_renew)
