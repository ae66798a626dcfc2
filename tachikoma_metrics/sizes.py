"""How many entries the caches have.

What is in local memory each process tells of itself, whenever it changes. What several
processes share is asked for when the page is, in threads that nobody waits for longer
than a second: a cache that does not answer costs its own sample, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any

from django.core.cache import caches
from django.core.cache.backends.redis import RedisCacheClient
from django.db import connections, router
from django.utils.module_loading import import_string

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.labels import clean
from tachikoma_metrics.questions import SECONDS_TO_ANSWER, Question, Questions
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE, Cell
from tachikoma_metrics.transactions import connections_of_its_own

Size = Callable[[Any], float]
"""Returns the number of a cache's entries; raises whatever its client does."""


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
            METRICS.fault("cache", error, self.alias)

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
    for local in list(LOCAL.values()):
        local.known = -1


def withdraw_local() -> None:
    """Take back what was told, for another set of caches is to be measured."""
    if LOCAL:
        LOCAL.clear()
        METRICS.bound(catalogue.CACHE_SIZE.name).metric.reset_series()


# --- what processes share ---------------------------------------------------


def _of_redis(cache: Any) -> float:
    client = cache._cache.get_client(None, write=True)
    try:
        return float(client.dbsize())
    finally:
        # Django's own is made for this thread alone, and closed by nobody; of others, one
        # pool may serve the whole process.
        if type(cache._cache).__module__ == RedisCacheClient.__module__:
            client.connection_pool.disconnect()


def _of_django_redis(cache: Any) -> float:
    return float(cache.client.get_client(write=True).dbsize())


def _of_pymemcache(cache: Any) -> float:
    servers = cache._cache.clients.values()
    return float(sum(int(server.stats()[b"curr_items"]) for server in servers))


def _of_pylibmc(cache: Any) -> float:
    return float(sum(int(stats["curr_items"]) for _, stats in cache._cache.get_stats()))


def _of_database(cache: Any) -> float:
    connection = connections[router.db_for_read(cache.cache_model_class)]
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT COUNT(*) FROM {connection.ops.quote_name(cache._table)}")  # noqa: S608  # A quoted name.
        return float(cursor.fetchone()[0])


def _of_files(cache: Any) -> float:
    return float(len(cache._list_cache_files()))


_SIZES: dict[str, Size] = {
    "django.core.cache.backends.redis.RedisCache": _of_redis,
    "django_redis.cache.RedisCache": _of_django_redis,
    "django.core.cache.backends.memcached.PyMemcacheCache": _of_pymemcache,
    "django.core.cache.backends.memcached.PyLibMCCache": _of_pylibmc,
    "django.core.cache.backends.db.DatabaseCache": _of_database,
    "django.core.cache.backends.filebased.FileBasedCache": _of_files,
}


_LIBRARIES = {_of_redis: "redis", _of_django_redis: "redis", _of_pymemcache: "pymemcache"}


def import_libraries() -> None:
    """Import what the caches in use will import, as long as there is one thread.

    Two threads that begin to import one library from two ends wait for each other.
    """
    for params in _measured().values():
        with suppress(Exception):
            size = _size_of(params["BACKEND"])
            if size in _LIBRARIES:
                import_module(_LIBRARIES[size])


def _size_of(backend: str) -> Size | None:
    """Return how a backend, or the first that it is derived from, tells its size."""
    for base in getattr(import_string(backend), "__mro__", ()):
        size = _SIZES.get(f"{base.__module__}.{base.__qualname__}")
        if size is not None:
            return size
    return None


_questions = Questions()


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
    questions = {alias: _question(alias, params) for alias, params in measured.items()}
    # All are asked before the first is waited for.
    answers = {alias: one.wait() for alias, one in questions.items() if one is not None}
    sizes = {alias: size for alias, size in answers.items() if size is not None}
    if label_names:
        return {(clean(alias),): size for alias, size in sizes.items()}
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


def _question(alias: str, params: Mapping[str, Any]) -> Question[float] | None:
    """Return the question that a cache was, or now is, asked; None if it cannot tell."""

    def count_fault(error: Exception) -> None:
        METRICS.count_fault("cache", error, alias)

    try:
        size = _size_of(params["BACKEND"])
        if size is None:
            return None
        return _questions.put(
            f"size-of-cache-{alias}", partial(_ask, alias, size), count_fault, _lateness(alias)
        )
    except Exception as error:
        METRICS.fault("cache", error, alias)
        return None


def _ask(alias: str, size: Size) -> float:
    with connections_of_its_own():
        # The cache is this thread's own, too.
        cache = caches[alias]
        try:
            return size(cache)
        finally:
            cache.close()


def _lateness(alias: str) -> str:
    return (
        f"The cache {alias!r} should tell its size within {SECONDS_TO_ANSWER:g} s; `cache_size` "
        "is without it. Give its client a timeout in `CACHES`, or leave it out of "
        "`INSTRUMENT_CACHES`."
    )


METRICS.when_forgotten(forget_local)
STORE.when_forked(_renew)
