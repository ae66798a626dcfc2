"""What a database query costs more because one peer counts it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from django.db import connections

from benchmarks import peers
from benchmarks.measured.answering import answer
from benchmarks.measured.pages import require_counted
from benchmarks.measured.timing import (
    Prepare,
    Work,
    added,
    added_beside_waiting,
    clock_seconds,
    stay_on_one_cpu,
)
from benchmarks.project.start import start
from benchmarks.rounds import Figures

Queries = Callable[[str, int], Prepare]

_COUNTED_AS = {
    peers.OURS: "db_queries_total",
    peers.DJANGO_PROMETHEUS: "django_db_execute_total",
    peers.OPENTELEMETRY: "db_client_operation_duration_seconds_count",
}


def measure(repeats: int) -> Figures:
    """Return the seconds of CPU that a query of SQLite costs more, by how it is asked."""
    _connect("bare", "default")
    for alias in ("bare", "default"):
        _make_a_row(alias)
    figures = {
        "cursor": _added(selects, 100, repeats),
        "orm": _added(gets, 30, repeats),
    }
    peers.require_files()
    return figures


def measure_postgresql(repeats: int) -> Figures:
    """Return what a query of PostgreSQL costs more, and what it takes without metrics."""
    _connect("bare_postgresql", "postgresql")
    _share_a_server("bare_postgresql", "postgresql")
    # So few at a time that the two of a pair are close to each other.
    number, repeats = 5, 4 * repeats
    bare, measured = (selects_of_psycopg(a, number) for a in ("bare_postgresql", "postgresql"))
    with _require_counted(number, repeats):
        more = added_beside_waiting(bare, measured, repeats) / number
    clock = clock_seconds(bare, repeats) / number
    return {"postgresql": more, "clock": clock, "share": more / clock}


def selects(alias: str, number: int) -> Prepare:
    """Return work that asks a database for a constant, with a cursor of Django."""
    connection = connections[alias]

    def work() -> None:
        for _ in range(number):
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
                cursor.fetchone()

    return lambda: work


def selects_of_psycopg(alias: str, number: int) -> Prepare:
    """Return such work for a connection of psycopg, with the cursors of ``alias``."""
    prepare, connection = selects(alias, number), connections[alias]
    cursors = connection.get_connection_params()["cursor_factory"]

    def prepare_cursors() -> Work:
        connection.connection.cursor_factory = cursors
        return prepare()

    return prepare_cursors


def gets(alias: str, number: int) -> Prepare:
    """Return work that asks a database for an object."""
    from benchmarks.project.models import Mission

    missions = Mission.objects.using(alias)

    def work() -> None:
        for _ in range(number):
            missions.get(pk=1)

    return lambda: work


def _added(queries: Queries, number: int, repeats: int) -> float:
    with _require_counted(number, repeats):
        return added(queries("bare", number), queries("default", number), repeats) / number


def _require_counted(number: int, repeats: int) -> AbstractContextManager[None]:
    # Once before the clock starts, and only where it is measured.
    return require_counted((1 + repeats) * number, _COUNTED_AS[peers.current()])


def _connect(bare: str, measured: str) -> None:
    for alias in (bare, measured):
        connections[alias].ensure_connection()
    # Ours has come to both.
    connections[bare].execute_wrappers.clear()
    if peers.current() is peers.OPENTELEMETRY:
        from benchmarks.project.opentelemetry import instrument_connection

        instrument_connection(connections[measured])


def _share_a_server(bare: str, measured: str) -> None:
    # Each connection has a server process, and what it costs to wait for one depends on
    # where that runs: more than what is to be told apart.
    connections[bare].close()
    connections[bare].connection = connections[measured].connection


def _make_a_row(alias: str) -> None:
    from benchmarks.project.models import Mission

    with connections[alias].schema_editor() as editor:
        editor.create_model(Mission)
    Mission.objects.using(alias).create(pk=1, title="Find the puppet master")


if __name__ == "__main__":
    stay_on_one_cpu()
    start(with_backends=True)
    answer({"measure": measure, "measure_postgresql": measure_postgresql})
