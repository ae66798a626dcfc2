"""Overhead per database query of one variant."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

from django.db import connections

from benchmarks import variants
from benchmarks.measured import pages
from benchmarks.measured.commands import run_commands
from benchmarks.measured.expositions import require_counted
from benchmarks.measured.timing import (
    Prepare,
    Steps,
    Work,
    added,
    added_in_steps,
    added_while_waiting,
    clock_seconds,
    stay_on_one_cpu,
)
from benchmarks.project.start import start
from benchmarks.rounds import Figures

Queries = Callable[[str, int], Prepare]

_COUNTED_AS = {
    variants.TACHIKOMA: "db_queries_total",
    variants.DJANGO_PROMETHEUS: "django_db_execute_total",
    variants.OPENTELEMETRY: "db_client_operation_duration_seconds_count",
}


def measure(repeats: int) -> Figures:
    """Return the added CPU seconds of a query to SQLite, by API."""
    _connect("bare", "default")
    with pages.tables("bare", "default"):
        figures = {
            "cursor": _added(selects, 100, repeats),
            "orm": _added(gets, 30, repeats),
        }
    variants.require_files()
    return figures


def measure_pages(repeats: int) -> Figures:
    """Return the added CPU seconds of a query to SQLite, as pages make them."""
    _connect("bare", "default")
    with pages.tables("bare", "default"):
        return {"pages": _added_on_pages("bare", "default", repeats)}


def measure_postgresql(repeats: int) -> Figures:
    """Return the added CPU seconds of a PostgreSQL query, and its elapsed time without metrics."""
    _connect("bare_postgresql", "postgresql")
    _share_server_process("bare_postgresql", "postgresql")
    # Few queries at a time, so that the two measurements of a pair are close in time.
    number, repeats = 5, 4 * repeats
    bare, measured = (selects_of_psycopg(a, number) for a in ("bare_postgresql", "postgresql"))
    with _require_counted(number, repeats):
        more = added_while_waiting(bare, measured, repeats) / number
    clock = clock_seconds(bare, repeats) / number
    return {"postgresql": more, "clock": clock, "share": more / clock}


def measure_pages_on_postgresql(repeats: int) -> Figures:
    """Return the added CPU seconds of a query to PostgreSQL, as pages make them."""
    bare, measured = "bare_postgresql", "postgresql"
    _connect(bare, measured)
    _share_server_process(bare, measured)
    with pages.tables(bare):
        return {"postgresql_pages": _added_on_pages(bare, measured, repeats)}


def selects(alias: str, number: int) -> Prepare:
    """Return work that selects a constant with a cursor of Django."""
    connection = connections[alias]

    def work() -> None:
        for _ in range(number):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchone()

    return lambda: work


def selects_of_psycopg(alias: str, number: int) -> Prepare:
    """Return the same work for a connection of psycopg, with the cursors of ``alias``."""
    prepare, connection = selects(alias, number), connections[alias]
    cursors = connection.get_connection_params()["cursor_factory"]

    def prepare_cursors() -> Work:
        connection.connection.cursor_factory = cursors
        return prepare()

    return prepare_cursors


def gets(alias: str, number: int) -> Prepare:
    """Return work that fetches an object with the ORM."""
    from benchmarks.project.models import Mission

    missions = Mission.objects.using(alias)

    def work() -> None:
        for _ in range(number):
            missions.get(pk=1)

    return lambda: work


def _added_on_pages(bare: str, measured: str, repeats: int) -> float:
    number = pages.statements_of_a_turn(bare)
    both = _steps(bare), _steps(measured)
    with require_counted(repeats * number, _COUNTED_AS[variants.current()]):
        return added_in_steps(*both, pages.OtherWork(), repeats) / number


def _steps(alias: str) -> Steps:
    connection = connections[alias]
    cursors = connection.get_connection_params().get("cursor_factory")

    def steps(turn: int) -> Iterator[float]:
        if cursors is not None:
            connection.connection.cursor_factory = cursors
        return pages.steps(alias, turn)

    return steps


def _added(queries: Queries, number: int, repeats: int) -> float:
    with _require_counted(number, repeats):
        return added(queries("bare", number), queries("default", number), repeats) / number


def _require_counted(number: int, repeats: int) -> AbstractContextManager[None]:
    # One repeat is a warm-up; only the instrumented connection is counted.
    return require_counted((1 + repeats) * number, _COUNTED_AS[variants.current()])


def _connect(bare: str, measured: str) -> None:
    for alias in (bare, measured):
        connections[alias].ensure_connection()
    # tachikoma_metrics has instrumented both connections.
    connections[bare].execute_wrappers = []
    if variants.current() is variants.OPENTELEMETRY:
        from benchmarks.project.opentelemetry import instrument_connection

        instrument_connection(connections[measured])


def _share_server_process(bare: str, measured: str) -> None:
    # Each connection has a server process, and the cost of waiting depends on the CPU of that
    # process, by more than the overhead.
    shared = connections[measured].connection
    if connections[bare].connection is not shared:
        connections[bare].close()
        connections[bare].connection = shared


if __name__ == "__main__":
    stay_on_one_cpu()
    start(with_backends=True)
    run_commands(
        {
            "measure": measure,
            "measure_pages": measure_pages,
            "measure_postgresql": measure_postgresql,
            "measure_pages_on_postgresql": measure_pages_on_postgresql,
        }
    )
