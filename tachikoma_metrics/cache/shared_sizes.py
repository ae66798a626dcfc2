"""The number of entries of caches that processes share: queried on each scrape.

The queries run in threads, with a timeout of a second: a cache that does not respond has no
sample, and the rest of the metrics endpoint is complete.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from django.core.cache import caches

from tachikoma_metrics import conf
from tachikoma_metrics.cache.size_queries import Size, SizeQuery, size_query_for
from tachikoma_metrics.catalogue.labels import clean
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.registry.deadlines import TIMEOUT_SECONDS, TimedCall, TimedCalls
from tachikoma_metrics.registry.thread_connections import connections_of_its_own
from tachikoma_metrics.store import STORE

_calls = TimedCalls()

_failing: set[str] = set()
"""The caches whose last query failed."""


def query_sizes(label_names: tuple[str, ...]) -> Mapping[tuple[str, ...], float]:
    """Return the sizes of the caches that processes share, by label values.

    Never raises: caches that fail are left out, and counted as an instrumentation error.
    """
    measured = _measured()
    if not label_names:
        # Caches with the same settings share their entries: one query is enough.
        distinct = {_settings_key(params): (alias, params) for alias, params in measured.items()}
        measured = dict(distinct.values())
    needs_location = len(measured) > 1 and not label_names
    # All queries are started before the first is waited for.
    calls = {alias: _start(alias, one, needs_location) for alias, one in measured.items()}
    results = {alias: call.wait() for alias, call in calls.items() if call is not None}
    sizes = {alias: result for alias, result in results.items() if result is not None}
    if label_names:
        return {(clean(alias),): size for alias, (size, _) in sizes.items()}
    # Different settings may name the same location.
    by_location = {location or alias: size for alias, (size, location) in sizes.items()}
    return {(): sum(by_location.values())} if by_location else {}


def _measured() -> dict[str, Mapping[str, Any]]:
    """Return the settings of the caches that are measured, by alias."""
    config = conf.config()
    return {
        alias: params
        for alias, params in caches.settings.items()
        if config.instruments_cache(alias)
    }


def _settings_key(params: Mapping[str, Any]) -> str:
    return repr([params.get(key) for key in ("BACKEND", "LOCATION", "OPTIONS")])


def _start(alias: str, params: Mapping[str, Any], needs_location: bool) -> TimedCall[Size] | None:
    """Start a query, or return the one that is still running; None without a query."""
    on_error = partial(_count_failure, alias)
    try:
        query = size_query_for(params["BACKEND"])
        if query is None:
            return None
        return _calls.put(
            f"size-of-cache-{alias}",
            partial(_query, alias, query, needs_location, on_error),
            on_error,
            _timeout_message(alias),
        )
    except Exception as error:
        pass_on(error)
        on_error(error)
        return None


def _query(
    alias: str, query: SizeQuery, needs_location: bool, on_error: Callable[[Exception], object]
) -> Size:
    with connections_of_its_own(on_error):
        # Django makes one cache per thread.
        cache = caches[alias]
        try:
            size = query(cache, needs_location)
        finally:
            try:
                cache.close()
            except Exception as error:
                on_error(error)
    _failing.discard(alias)
    return size


def _count_failure(alias: str, error: Exception) -> None:
    # A cache that stays down counts once, rather than on each scrape.
    if alias not in _failing:
        _failing.add(alias)
        METRICS.count_and_log("cache", error, alias, is_expected=True)


def _timeout_message(alias: str) -> str:
    return (
        f"The cache {alias!r} should report its size within {TIMEOUT_SECONDS:g} s; `cache_size` "
        "is incomplete. Set a timeout for its client in `CACHES`, or leave it out of "
        "`INSTRUMENT_CACHES`."
    )


def _forget_threads() -> None:
    """Drop the calls in a forked child: their threads run in the parent."""
    _calls.forget()
    _failing.clear()


METRICS.on_reset(_failing.clear)
STORE.on_fork(_forget_threads)
