"""The part about caches: what a hit costs more because it is counted."""

from __future__ import annotations

from collections.abc import Iterator

import redis

from benchmarks.conversation import conversation, files_of
from benchmarks.peers import DJANGO_PROMETHEUS, OURS, Peer
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, shares, times

_OTHERS = (DJANGO_PROMETHEUS,)
_MEMORY = {"locmem": "in memory"}

_WHAT = """\
The CPU that `cache.get()` of a short text takes more than on another cache of the same process,
which nobody watches; the text is there. *In memory* is Django's `LocMemCache`, *in Redis* its
`RedisCache`. Each process makes sure that the hits of the one cache were counted, and no
others. tachikoma_metrics changes one counter, whose label is the cache; django-prometheus two,
whose label is the kind of cache, and no other method than `get()` is counted by it."""

_SHARE = """\
In Redis: the CPU of the service that a hit takes more, also in percent of the time that it
takes with a server on the same machine, without metrics and by the clock; of many pairs the
median."""

_NO_SHARE = "Redis was not measured: none answered on 127.0.0.1."


def run(plan: Plan) -> str:
    """Return the section of the page; without Redis, one that says so."""
    has_redis = _answers()

    def measure(peer: Peer) -> Figures:
        with files_of(peer) as folder, conversation("caches", peer, folder) as process:
            figures = dict(process.ask("measure", plan.cache_repeats))
            if has_redis:
                figures.update(process.ask("measure_redis", plan.cache_repeats))
        return figures

    rounds = Rounds.run(plan.cache_rounds, (OURS, *_OTHERS), measure)
    return "\n\n".join(
        [
            "## What a cache hit costs more",
            _WHAT,
            ratios(rounds, OURS, _OTHERS, _MEMORY),
            times("µs of CPU more per hit", rounds, (OURS, *_OTHERS), _MEMORY),
            *(_in_redis(rounds) if has_redis else [_NO_SHARE]),
        ]
    )


def _in_redis(rounds: Rounds) -> Iterator[str]:
    yield _SHARE
    yield ratios(rounds, OURS, _OTHERS, {"redis": "in Redis"})
    yield shares("hit", "redis", rounds, (OURS, *_OTHERS))


def _answers() -> bool:
    with redis.Redis("127.0.0.1", db=9, socket_timeout=2, socket_connect_timeout=2) as client:
        try:
            client.ping()
        except redis.RedisError:
            return False
    return True
