"""What finding an entry of a cache costs more because one peer counts it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.utils.module_loading import import_string

from benchmarks import peers
from benchmarks.measured.answering import answer
from benchmarks.measured.pages import require_counted
from benchmarks.measured.timing import (
    Prepare,
    added,
    added_beside_waiting,
    clock_seconds,
    stay_on_one_cpu,
)
from benchmarks.project.start import start
from benchmarks.rounds import Figures

_COUNTED_AS = {
    peers.OURS: "cache_hits_total",
    peers.DJANGO_PROMETHEUS: "django_cache_get_hits_total",
}


def measure(repeats: int) -> Figures:
    """Return the seconds of CPU that a hit in memory costs more."""
    bare = bare_cache("default", peers.NONE.backends.locmem)
    number = 200
    with _require_counted(number, repeats):
        more = added(hits(bare, number), hits(caches["default"], number), repeats) / number
    peers.require_files()
    return {"locmem": more}


def measure_redis(repeats: int) -> Figures:
    """Return what a hit in Redis costs more, and what it takes without metrics."""
    bare = bare_cache("redis", peers.NONE.backends.redis)
    # So few at a time that the two of a pair are close to each other.
    number, repeats = 5, 4 * repeats
    with _require_counted(number, repeats):
        more = added_beside_waiting(hits(bare, number), hits(caches["redis"], number), repeats)
    more /= number
    clock = clock_seconds(hits(bare, number), repeats) / number
    return {"redis": more, "clock": clock, "share": more / clock}


def bare_cache(alias: str, backend: str) -> BaseCache:
    """Return a cache like the one of ``alias``, which nobody watches.

    Django's handler does not make it, for ours watches whatever that makes.
    """
    parameters = dict(settings.CACHES[alias])
    del parameters["BACKEND"]
    cache: BaseCache = import_string(backend)(parameters.pop("LOCATION", "bare"), parameters)
    return cache


def hits(cache: BaseCache, number: int) -> Prepare:
    """Return work that gets an entry which is there."""
    cache.set("mission", "Find the puppet master", 600)

    def work() -> None:
        for _ in range(number):
            cache.get("mission")

    return lambda: work


def _require_counted(number: int, repeats: int) -> AbstractContextManager[None]:
    # Once before the clock starts, and only where it is measured.
    return require_counted((1 + repeats) * number, _COUNTED_AS[peers.current()])


if __name__ == "__main__":
    stay_on_one_cpu()
    start(with_backends=True)
    answer({"measure": measure, "measure_redis": measure_redis})
