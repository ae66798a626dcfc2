"""Duration of a refresh of business metrics, and of a scrape that reads them."""

from __future__ import annotations

import timeit

from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.measured.commands import run_commands
from benchmarks.project.start import start
from benchmarks.rounds import Figures


def fill(rows: int) -> Figures:
    """Create the tables, with ``rows`` missions."""
    from benchmarks.project.models import Mission

    call_command("migrate", "tachikoma_metrics", verbosity=0)
    with connection.schema_editor() as editor:
        if Mission._meta.db_table in connection.introspection.table_names():
            editor.delete_model(Mission)
        editor.create_model(Mission)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO project_mission (title, is_secret)"
            " SELECT 'Find ' || n, n %% 7 = 0 FROM generate_series(1, %s) n",
            [rows],
        )
        cursor.execute("ANALYZE project_mission")
    return {"rows": rows}


def measure(repeats: int) -> Figures:
    """Return the elapsed seconds, and the number of counting queries."""
    from tachikoma_metrics import METRICS
    from tachikoma_metrics.business import refresh

    refresh()
    with CaptureQueriesContext(connection) as captured:
        refresh()
    counting = [query for query in captured.captured_queries if "project_mission" in query["sql"]]
    if "missions{" not in METRICS.encode():
        raise RuntimeError("The metrics endpoint lacks the business metrics.")

    def scrape() -> None:
        # The next scrape reads the snapshot again.
        METRICS.reset()
        METRICS.encode()

    return {
        "queries": len(counting),
        "refresh": min(timeit.repeat(refresh, number=1, repeat=repeats)),
        "scrape": min(timeit.repeat(scrape, number=1, repeat=3 * repeats)),
    }


if __name__ == "__main__":
    start(with_backends=True)
    run_commands({"fill": fill, "measure": measure})
