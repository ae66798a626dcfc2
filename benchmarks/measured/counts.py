"""What a refresh of business counts takes, and a page that shows them."""

from __future__ import annotations

import timeit

from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks.measured.answering import answer
from benchmarks.project.start import start
from benchmarks.rounds import Figures


def fill(rows: int) -> Figures:
    """Make the tables anew, with so many missions."""
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
    """Return seconds by the clock, and the number of queries that count."""
    from tachikoma_metrics import METRICS
    from tachikoma_metrics.business import refresh

    refresh()
    with CaptureQueriesContext(connection) as captured:
        refresh()
    counting = [query for query in captured.captured_queries if "project_mission" in query["sql"]]
    if "missions{" not in METRICS.encode():
        raise RuntimeError("The counts are not on the page.")

    def page() -> None:
        # As if some time had passed: the snapshot is read again.
        METRICS.reset()
        METRICS.encode()

    return {
        "queries": len(counting),
        "refresh": min(timeit.repeat(refresh, number=1, repeat=repeats)),
        "page": min(timeit.repeat(page, number=1, repeat=3 * repeats)),
    }


if __name__ == "__main__":
    start(with_backends=True)
    answer({"fill": fill, "measure": measure})
