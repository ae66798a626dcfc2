"""The part about business counts: what a refresh and a page take with many rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.conversation import conversation, files_of
from benchmarks.peers import OURS
from benchmarks.plan import Plan
from benchmarks.rounds import Figures
from benchmarks.tables import table

_SERVER = "postgresql://postgres@127.0.0.1"
_NAME = f"benchmark_{os.getpid()}"

_WHAT = """\
A table of missions on PostgreSQL, on the same machine, counted by one of its columns.
A *refresh* counts it, with one grouped query, and keeps the snapshot; a *page* reads the
snapshot, in a thread and with a connection of its own, whatever else is on it. By the clock: the
least of several, for most of it is the database's time."""

_NO_SERVER = "Nothing was measured: no PostgreSQL answered on 127.0.0.1."


def run(plan: Plan) -> str:
    """Return the section of the page; without PostgreSQL, one that says so."""
    title = "## What a refresh of business counts costs"
    try:
        with _database():
            return "\n\n".join([title, _WHAT, _figures(plan)])
    except psycopg.OperationalError:
        return "\n\n".join([title, _NO_SERVER])


@contextmanager
def _database() -> Iterator[None]:
    with psycopg.connect(f"{_SERVER}/postgres", autocommit=True, connect_timeout=2) as connection:
        connection.execute(f"CREATE DATABASE {_NAME}")
        os.environ["BENCHMARK_DATABASE"] = _NAME
        try:
            yield
        finally:
            connection.execute(f"DROP DATABASE {_NAME} WITH (FORCE)")


def _figures(plan: Plan) -> str:
    return table(
        ("rows", "queries of a refresh", "milliseconds of a refresh", "milliseconds of a page"),
        (
            (
                f"{rows:,}",
                f"{figures['queries']:.0f}",
                f"{figures['refresh'] * 1e3:.1f}",
                f"{figures['page'] * 1e3:.1f}",
            )
            for rows, figures in ((rows, _measure(rows, plan)) for rows in (10, 1_000_000))
        ),
    )


def _measure(rows: int, plan: Plan) -> Figures:
    with files_of(OURS) as folder, conversation("counts", OURS, folder) as process:
        process.ask("fill", rows)
        return process.ask("measure", plan.count_repeats)
