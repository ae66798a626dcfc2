"""Overhead per database query."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg

from benchmarks.measuring_process import isolated_process
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, shares, times
from benchmarks.variants import DJANGO_PROMETHEUS, OPENTELEMETRY, TACHIKOMA, Variant

_OTHERS = (DJANGO_PROMETHEUS, OPENTELEMETRY)
_COLUMNS = {
    "cursor": "SQLite, cursor",
    "orm": "SQLite, `get()`",
    "pages": "SQLite, on pages",
}
_COLUMNS_ON_POSTGRESQL = {
    "postgresql": "PostgreSQL, cursor",
    "postgresql_pages": "PostgreSQL, on pages",
}
# OpenTelemetry has a separate instrumentation for psycopg, which is not measured here.
_ON_POSTGRESQL = (TACHIKOMA, DJANGO_PROMETHEUS)

_METHOD = """\
The CPU time that instrumentation adds to a query, compared with an uninstrumented connection in
the same process. *Cursor* is `SELECT 1` with a cursor of Django, the cheapest possible query;
*`get()`* fetches an object with Django's ORM. SQLite is in memory. *On pages*: the 25 different
statements that Django's ORM makes for a list, a detail page and an import, some of more than 2,000
characters, with lists, numbers of rows and offsets that differ each time. Between two of them, a
template is rendered and values all over the memory are read, so that the CPU's caches hold
something else; only the execution of the statements is timed, and the value is the median of many
pairs. Each process checks that exactly the queries of the instrumented connection were counted."""

_COMPARABILITY = """\
tachikoma_metrics and django-prometheus record a counter and a histogram of the duration:
tachikoma_metrics by operation and table, which it parses from the statement, django-prometheus
by database only. OpenTelemetry's instrumentation of the driver is configured for metrics and
records a histogram by operation; its traces are not collected."""

_SHARE = """\
On PostgreSQL, with psycopg: the CPU time that instrumentation adds to `SELECT 1`, also in
percent of the elapsed time of an uninstrumented query to a server on the same machine. Both
connections share one process of the server, which moves between CPUs: each value is the median
of many pairs."""

_NO_SHARE = "PostgreSQL was not measured: no server is reachable on 127.0.0.1."


def run(plan: Plan) -> str:
    """Return the section; without PostgreSQL, a section that states that."""
    has_postgresql = _is_reachable()

    def measure(variant: Variant) -> Figures:
        with isolated_process("queries", variant) as process:
            figures = dict(process.call("measure", plan.query_repeats))
            figures.update(process.call("measure_pages", plan.page_repeats))
            if has_postgresql and variant in _ON_POSTGRESQL:
                figures.update(process.call("measure_postgresql", plan.query_repeats))
                figures.update(process.call("measure_pages_on_postgresql", plan.page_repeats))
        return figures

    rounds = Rounds.run(plan.query_rounds, (TACHIKOMA, *_OTHERS), measure)
    return "\n\n".join(
        [
            "## Overhead per database query",
            _METHOD,
            ratios(rounds, TACHIKOMA, _OTHERS, _COLUMNS),
            _COMPARABILITY,
            times("added µs of CPU per query", rounds, (TACHIKOMA, *_OTHERS), _COLUMNS),
            *(_on_postgresql(rounds) if has_postgresql else [_NO_SHARE]),
        ]
    )


def _on_postgresql(rounds: Rounds) -> Iterator[str]:
    yield _SHARE
    yield ratios(rounds, TACHIKOMA, _ON_POSTGRESQL[1:], _COLUMNS_ON_POSTGRESQL)
    yield times("added µs of CPU per query", rounds, _ON_POSTGRESQL, _COLUMNS_ON_POSTGRESQL)
    yield shares("query", "postgresql", rounds, _ON_POSTGRESQL)


def _is_reachable() -> bool:
    try:
        psycopg.connect("postgresql://postgres@127.0.0.1/postgres", connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True
