"""Overhead per cache hit of one variant."""

from __future__ import annotations

from contextlib import AbstractContextManager

from django.conf import settings
from django.core.cache import BaseCache, caches
from django.utils.module_loading import import_string

from benchmarks import variants
from benchmarks.measured.commands import run_commands
from benchmarks.measured.expositions import require_counted
from benchmarks.measured.timing import (
    Prepare,
    added,
    added_while_waiting,
    clock_seconds,
    stay_on_one_cpu,
)
from benchmarks.project.start import start
from benchmarks.rounds import Figures

_COUNTED_AS = {
    variants.TACHIKOMA: "cache_hits_total",
    variants.DJANGO_PROMETHEUS: "django_cache_get_hits_total",
}


def measure(repeats: int) -> Figures:
    """Return the added CPU seconds of a hit in memory."""
    bare = bare_cache("default", variants.NONE.backends.locmem)
    number = 200
    with _require_counted(number, repeats):
        more = added(hits(bare, number), hits(caches["default"], number), repeats) / number
    variants.require_files()
    return {"locmem": more}


def measure_redis(repeats: int) -> Figures:
    """Return the added CPU seconds of a hit in Redis, and its elapsed time without metrics."""
    bare = bare_cache("redis", variants.NONE.backends.redis)
    # Few hits at a time, so that the two measurements of a pair are close in time.
    number, repeats = 5, 4 * repeats
    with _require_counted(number, repeats):
        more = added_while_waiting(hits(bare, number), hits(caches["redis"], number), repeats)
    more /= number
    clock = clock_seconds(hits(bare, number), repeats) / number
    return {"redis": more, "clock": clock, "share": more / clock}


def bare_cache(alias: str, backend: str) -> BaseCache:
    """Return an uninstrumented cache with the options of ``alias``.

    It is created without Django's handler, whose caches tachikoma_metrics instruments.
    """
    parameters = dict(settings.CACHES[alias])
    del parameters["BACKEND"]
    cache: BaseCache = import_string(backend)(parameters.pop("LOCATION", "bare"), parameters)
    return cache


def hits(cache: BaseCache, number: int) -> Prepare:
    """Return work that gets an existing entry."""
    cache.set("mission", "Find the puppet master", 600)

    def work() -> None:
        for _ in range(number):
            cache.get("mission")

    return lambda: work


def _require_counted(number: int, repeats: int) -> AbstractContextManager[None]:
    # One repeat is a warm-up; only the instrumented cache is counted.
    return require_counted((1 + repeats) * number, _COUNTED_AS[variants.current()])


if __name__ == "__main__":
    stay_on_one_cpu()
    start(with_backends=True)
    run_commands({"measure": measure, "measure_redis": measure_redis})
