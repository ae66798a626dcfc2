"""The part about databases: what a query costs more because it is counted."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from benchmarks.conversation import conversation, files_of
from benchmarks.peers import DJANGO_PROMETHEUS, OPENTELEMETRY, OURS, Peer
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, shares, times

_OTHERS = (DJANGO_PROMETHEUS, OPENTELEMETRY)
_WAYS = {"cursor": "SQLite, cursor", "orm": "SQLite, `get()`"}
# What OpenTelemetry has for psycopg is another instrumentation than the one measured here.
_ON_POSTGRESQL = (OURS, DJANGO_PROMETHEUS)

_WHAT = """\
The CPU that a query takes more than on another connection of the same process, which nobody
watches. *Cursor* is `SELECT 1` with a cursor of Django, the cheapest query there is; *`get()`*
has Django's ORM make an object of a row. SQLite is in memory. Each process makes sure that the
queries of the one connection were counted, and no others."""

_FAIRNESS = """\
tachikoma_metrics and django-prometheus count queries and have a histogram of how long they
take: tachikoma_metrics by operation and table, which it reads from the statement,
django-prometheus by database alone. OpenTelemetry's instrumentation, of the driver, is told to
record metrics and has a histogram by operation; the trace that it would also make is collected by
nobody."""

_SHARE = """\
On PostgreSQL, with psycopg: the CPU of the service that `SELECT 1` takes more, also in percent
of the time, by the clock, that it takes without metrics on a server on the same machine. Both
connections share a process of the server, which runs now on this CPU and now on another: of
many pairs, the median."""

_NO_SHARE = "PostgreSQL was not measured: none answered on 127.0.0.1."


def run(plan: Plan) -> str:
    """Return the section of the page; without PostgreSQL, one that says so."""
    has_postgresql = _answers()

    def measure(peer: Peer) -> Figures:
        with files_of(peer) as folder, conversation("queries", peer, folder) as process:
            figures = dict(process.ask("measure", plan.query_repeats))
            if has_postgresql and peer in _ON_POSTGRESQL:
                figures.update(process.ask("measure_postgresql", plan.query_repeats))
        return figures

    rounds = Rounds.run(plan.query_rounds, (OURS, *_OTHERS), measure)
    return "\n\n".join(
        [
            "## What a database query costs more",
            _WHAT,
            ratios(rounds, OURS, _OTHERS, _WAYS),
            _FAIRNESS,
            times("µs of CPU more per query", rounds, (OURS, *_OTHERS), _WAYS),
            *(_on_postgresql(rounds) if has_postgresql else [_NO_SHARE]),
        ]
    )


def _on_postgresql(rounds: Rounds) -> Iterator[str]:
    yield _SHARE
    yield ratios(rounds, OURS, _ON_POSTGRESQL[1:], {"postgresql": "PostgreSQL, cursor"})
    yield shares("query", "postgresql", rounds, _ON_POSTGRESQL)


def _answers() -> bool:
    try:
        psycopg.connect("postgresql://postgres@127.0.0.1/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
