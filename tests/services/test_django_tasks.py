"""The tasks of ``django.tasks``, sent by a web server and run by ``manage.py db_worker``."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests import starter
from tests.services.databases import POSTGRESQL, made_database
from tests.services.pages import Page
from tests.services.processes import eventually, missing
from tests.services.sites import Site, total

NewSite = Callable[..., Site]

COUNT = int(os.environ.get("TASK_COUNT", "60"))
DEATHS = int(os.environ.get("TASK_DEATHS", "5"))
BACKEND = "django_tasks_db.DatabaseBackend"


@pytest.fixture(params=["postgresql", pytest.param("sqlite", marks=pytest.mark.thorough)])
def depot(request: pytest.FixtureRequest, new_site: NewSite, tmp_path: Path) -> Iterator[Site]:
    """Return a site whose tasks are rows of a database."""
    if find_spec("django_tasks_db") is None:
        missing("django-tasks-db is not installed")
    with contextlib.ExitStack() as stack:
        database = {"SQLITE": str(tmp_path / "db.sqlite3")}
        if request.param == "postgresql":
            name = stack.enter_context(made_database())
            database = {"POSTGRESQL_PORT": str(POSTGRESQL), "POSTGRESQL_NAME": name}
        store = str(tmp_path / "store")
        site = new_site(TASK_BACKEND=BACKEND, STORE_DIR=store, **database)
        site.command("migrate", "--verbosity", "0")
        yield site


class Worker(threading.Thread):
    """Runs ``db_worker``, and starts it again whenever it is killed."""

    def __init__(self, site: Site, number: int) -> None:
        super().__init__(daemon=True)
        self.site = site
        self.name = f"worker {number}"
        self.is_over = False
        self.deaths = 0
        self.process: subprocess.Popen[str]

    def run(self) -> None:
        while not self.is_over:
            with self.site.log(self.name).open("ab") as log:
                self.process = starter.start_module(
                    "django",
                    "db_worker",
                    *OPTIONS,
                    environment=self.site.environment,
                    directory=self.site.home,
                    output=log,
                )
                self.deaths += self.process.wait() == -signal.SIGKILL

    def stop(self) -> None:
        self.is_over = True
        self.process.terminate()
        self.join(30)


OPTIONS = ["--queue-name", "*", "--interval", "0.05", "--no-startup-delay", "--no-reload"]


@contextlib.contextmanager
def workers(site: Site, count: int) -> Iterator[list[Worker]]:
    """Work through the site's tasks for the time of the block."""
    threads = [Worker(site, number) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield threads
    finally:
        for thread in threads:
            thread.stop()


def ledger(site: Site) -> list[list[str]]:
    """Return the lines that the site's tasks have written."""
    path = site.home / "ledger"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def counted(page: Page, name: str, *labels: str) -> Counter[tuple[str, ...]]:
    """Return the values of a metric above 0, by some of its labels."""
    values: Counter[tuple[str, ...]] = Counter()
    for (found, labelled), value in page.items():
        if found == name and value:
            has = dict(labelled)
            values[tuple(has[label] for label in labels)] += int(value)
    return values


def name_of(task: str) -> str:
    return f"depot.errands.{task}"


def test_what_is_counted_is_what_the_tasks_wrote(depot: Site):
    is_sqlite = "SQLITE" in depot.environment
    kinds = dict.fromkeys(("deliver", "refuse", "leave", "ask", "later"), COUNT)
    kinds["die"] = 1 if is_sqlite else DEATHS
    # A task that asks sends one more.
    expected = sum(kinds.values()) + COUNT
    with depot.gunicorn("-w", "2"):
        # In the first request of a process, which imports the tasks.
        for kind, count in kinds.items():
            depot.get(f"/errands/{kind}/{count}/")
        with workers(depot, 1 if is_sqlite else 3) as threads:
            eventually(lambda: begun(depot) == expected, 300)
            # The last has not ended yet.
            eventually(lambda: total(depot.page(), "task_runs_in_progress") == 0)
        page = depot.page()

    lines = ledger(depot)
    sends = Counter((name_of(line[1]), line[2]) for line in lines if line[0] == "send")
    waits = [(line[1], float(line[2])) for line in lines if line[0] == "begin"]
    runs = Counter(
        (name_of(line[1]), line[0]) for line in lines if line[0] in ("success", "failure")
    )
    assert counted(page, "task_sends_total", "task", "queue") == sends
    assert counted(page, "task_runs_total", "task", "outcome") == runs
    assert counted(page, "task_run_duration_seconds_count", "task") == Counter(
        {(task,): count for (task, _), count in runs.items()}
    )
    assert total(page, "task_queue_wait_seconds_count") == len(waits) == expected
    waited = sum(seconds for _, seconds in waits)
    assert total(page, "task_queue_wait_seconds_sum") == pytest.approx(waited, abs=0.05 * expected)
    assert sum(thread.deaths for thread in threads) == kinds["die"]
    assert total(page, "task_runs_in_progress") == 0
    assert total(page, "tachikoma_metrics_errors_total") == 0


def begun(site: Site) -> int:
    return sum(line[0] == "begin" for line in ledger(site))


def test_the_run_of_a_killed_worker_is_no_longer_in_progress(depot: Site):
    with depot.gunicorn("-w", "1"):
        depot.get("/errands/wait/1/")
        with depot.running("worker", "django", "db_worker", *OPTIONS) as worker:
            eventually(lambda: begun(depot) == 1)
            eventually(lambda: total(depot.page(), "task_runs_in_progress") == 1)
            worker.kill()
            worker.wait(20)
            eventually(lambda: total(depot.page(), "task_runs_in_progress") == 0)
        page = depot.page()

    assert total(page, "task_sends_total") == 1
    assert total(page, "task_queue_wait_seconds_count") == 1
    assert total(page, "task_runs_total") == 0
