"""Overhead per cache hit."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from benchmarks.measuring_process import isolated_process
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, shares, times
from benchmarks.variants import DJANGO_PROMETHEUS, TACHIKOMA, Variant

_OTHERS = (DJANGO_PROMETHEUS,)
_MEMORY = {"locmem": "in memory"}

_METHOD = """\
The CPU time that instrumentation adds to `cache.get()` of an existing short text, compared with
an uninstrumented cache in the same process. *In memory* is Django's `LocMemCache`, *in Redis*
its `RedisCache`. Each process checks that exactly the hits of the instrumented cache were
counted. tachikoma_metrics changes one counter, with the cache as its label. django-prometheus
changes two, with the type of cache as their label, and counts no other method than `get()`."""

_SHARE = """\
In Redis: the CPU time that instrumentation adds to a hit, also in percent of the elapsed time
of an uninstrumented hit with a server on the same machine. Each value is the median of many
pairs."""

_NO_SHARE = "Redis was not measured: no server is reachable on 127.0.0.1."


def run(plan: Plan) -> str:
    """Return the section; without Redis, a section that states that."""
    has_redis = _is_reachable()

    def measure(variant: Variant) -> Figures:
        with isolated_process("caches", variant) as process:
            figures = dict(process.call("measure", plan.cache_repeats))
            if has_redis:
                figures.update(process.call("measure_redis", plan.cache_repeats))
        return figures

    rounds = Rounds.run(plan.cache_rounds, (TACHIKOMA, *_OTHERS), measure)
    return "\n\n".join(
        [
            "## Overhead per cache hit",
            _METHOD,
            ratios(rounds, TACHIKOMA, _OTHERS, _MEMORY),
            times("added µs of CPU per hit", rounds, (TACHIKOMA, *_OTHERS), _MEMORY),
            *(_in_redis(rounds) if has_redis else [_NO_SHARE]),
        ]
    )


def _in_redis(rounds: Rounds) -> Iterator[str]:
    yield _SHARE
    yield ratios(rounds, TACHIKOMA, _OTHERS, {"redis": "in Redis"})
    yield shares("hit", "redis", rounds, (TACHIKOMA, *_OTHERS))


def _is_reachable() -> bool:
    with redis.Redis("127.0.0.1", db=9, socket_timeout=2, socket_connect_timeout=2) as client:
        try:
            client.ping()
        except redis.RedisError:
            return False
    return True
