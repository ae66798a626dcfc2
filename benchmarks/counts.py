"""Cost of a refresh of business metrics, and of a scrape that reads them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from benchmarks.measuring_process import isolated_process
from benchmarks.plan import Plan
from benchmarks.rounds import Figures
from benchmarks.tables import table
from benchmarks.variants import TACHIKOMA

_SERVER = "postgresql://postgres@127.0.0.1"
_NAME = f"benchmark_{os.getpid()}"

_METHOD = """\
A table of missions on PostgreSQL, on the same machine, counted by one of its columns. A
*refresh* counts the rows with one grouped query and stores the snapshot; a *scrape* reads the
snapshot, in a thread with a separate connection, and renders all metrics. Elapsed time, as the
minimum of several measurements, because most of it is spent in the database."""

_NO_SERVER = "Not measured: no PostgreSQL server is reachable on 127.0.0.1."


def run(plan: Plan) -> str:
    """Return the section; without PostgreSQL, a section that states that."""
    title = "## Cost of a refresh of business metrics"
    try:
        with _database():
            return "\n\n".join([title, _METHOD, _figures(plan)])
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
        ("rows", "queries of a refresh", "milliseconds of a refresh", "milliseconds of a scrape"),
        (
            (
                f"{rows:,}",
                f"{figures['queries']:.0f}",
                f"{figures['refresh'] * 1e3:.1f}",
                f"{figures['scrape'] * 1e3:.1f}",
            )
            for rows, figures in ((rows, _measure(rows, plan)) for rows in (10, 1_000_000))
        ),
    )


def _measure(rows: int, plan: Plan) -> Figures:
    with isolated_process("counts", TACHIKOMA) as process:
        process.call("fill", rows)
        return process.call("measure", plan.count_repeats)
