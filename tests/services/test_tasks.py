"""Real workers of Celery: what is counted is what the tasks did, whatever kills their processes."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from tests.services.processes import (
    eventually,
    free_port,
    is_listening,
    missing,
    program,
    running,
)
from tests.services.sites import Site, total

RABBITMQ = 5672


class Tasks:
    """A site whose tasks write a ledger, and what its worker counts of them."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.site.home.joinpath("ledger").touch()
        self.site.port = free_port()
        self.site.environment |= {
            "LEDGER": str(self.site.home / "ledger"),
            "QUEUE": f"tasks-{uuid.uuid4().hex[:8]}",
            "WORKER_PORT": str(self.site.port),
        }

    def worker(self, *options: str) -> AbstractContextManager[subprocess.Popen[bytes]]:
        return self.site.celery("--include", "depot.kinds", *options)

    def run(self, code: str) -> None:
        """Run a line of code in a process that publishes."""
        setup = "import django; django.setup(); from depot.kinds import *; from celery import *; "
        with self.site.running_code("publisher", setup + code) as process:
            assert process.wait(60) == 0, self.site.log("publisher").read_text()

    def lines(self) -> list[list[str]]:
        return [line.split() for line in (self.site.home / "ledger").read_text().splitlines()]

    def ledger(self) -> Counter[tuple[str, str]]:
        """Return how many runs of each task ended how, as the ledger has it."""
        return Counter(
            (task, outcome) for task, outcome in self.lines() if task not in {"victim", "running"}
        )

    def counted(self) -> Counter[tuple[str, str]]:
        """Return the same, as the metrics have it."""
        counted: Counter[tuple[str, str]] = Counter()
        for (name, labels), value in self.site.page().items():
            facts = dict(labels)
            if name == "task_runs_total" and value and facts["task"].startswith("depot.kinds."):
                counted[facts["task"].rpartition(".")[2], facts["outcome"]] += int(value)
        return counted

    def are_done(self, number: int) -> bool:
        """Tell whether so many tasks have run, those that run twice as well."""
        runs = self.ledger()
        again = {"retries": "retry", "is_killed_once": "lost"}
        left = {
            task: runs[task, outcome] - runs[task, "success"] for task, outcome in again.items()
        }
        return not any(left.values()) and runs.total() >= number + sum(
            runs[task, outcome] for task, outcome in again.items()
        )

    def agree(self, number: int, seconds: float = 60) -> None:
        """Wait for so many tasks, and for the metrics to be what the ledger has."""
        try:
            eventually(lambda: self.are_done(number) and self.counted() == self.ledger(), seconds)
        except BaseException:
            print("counted, not done", self.counted() - self.ledger())
            print("done, not counted", self.ledger() - self.counted())
            print(self.ledger().total(), "of", number)
            raise
        # A process that passed a hard time limit is counted before it is killed.
        self.rest()
        assert total(self.site.page(), "tachikoma_metrics_errors_total") == 0

    def rest(self) -> None:
        """Wait until no run is in progress."""
        eventually(lambda: total(self.site.page(), "task_runs_in_progress") == 0, 10)


class Killer(threading.Thread):
    """Kill the processes of tasks that wait for it."""

    def __init__(self, tasks: Tasks) -> None:
        super().__init__(daemon=True)
        self._tasks = tasks
        self._killed: set[str] = set()
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(0.1):
            for word, pid in self._tasks.lines():
                if word == "victim" and pid not in self._killed:
                    self._killed.add(pid)
                    os.kill(int(pid), signal.SIGKILL)
                    with (self._tasks.site.home / "ledger").open("a") as ledger:
                        ledger.write("is_killed lost\n")

    def __enter__(self) -> Killer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()


SECOND = (
    *("celery", "--app", "depot.celery", "worker", "--loglevel", "info", "--concurrency", "2"),
    *("--include", "depot.kinds", "--hostname", "second@here", "--without-mingle"),
)
"""A second worker of a site, as a module of Python's."""


# Redis has tests of its own below.
@pytest.fixture(params=[pytest.param("redis", marks=pytest.mark.thorough), "rabbitmq"])
def tasks(request: pytest.FixtureRequest, site: Site) -> Iterator[Tasks]:
    with redis_of(site) if request.param == "redis" else rabbitmq_of(site):
        yield Tasks(site)


@pytest.fixture
def redis_tasks(site: Site) -> Iterator[Tasks]:
    with redis_of(site):
        yield Tasks(site)


@contextlib.contextmanager
def redis_of(site: Site) -> Iterator[None]:
    port, folder = free_port(), str(site.home)
    alone = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder]
    with running([program("redis-server"), *alone], site.home / "redis.log"):
        eventually(lambda: is_listening(port))
        site.environment["BROKER"] = f"redis://127.0.0.1:{port}/0"
        site.environment["RESULTS"] = f"redis://127.0.0.1:{port}/1"
        yield


@contextlib.contextmanager
def rabbitmq_of(site: Site) -> Iterator[None]:
    if not is_listening(RABBITMQ):
        missing("no RabbitMQ answers on 127.0.0.1:5672")
    site.environment["BROKER"] = f"amqp://guest:guest@127.0.0.1:{RABBITMQ}//"
    yield


@pytest.mark.parametrize(
    ("number", "kills"), [(300, 6), pytest.param(5000, 30, marks=pytest.mark.thorough)]
)
def test_counts_are_what_the_tasks_write_whatever_is_killed(tasks: Tasks, number: int, kills: int):
    with tasks.worker("--concurrency", "4"), Killer(tasks):
        with tasks.site.running("publish", "depot.publish", str(number), str(kills)) as publisher:
            assert publisher.wait(120) == 0

        # Retries and the tasks that are killed once run twice.
        tasks.agree(number, 600 if number > 300 else 60)
        page = tasks.site.page()

    runs = tasks.ledger()
    again = runs["retries", "retry"] + runs["is_killed_once", "lost"]
    assert runs.total() == number + again
    assert total(page, "task_sends_total") == number + runs["retries", "retry"]
    started = runs.total() - runs["is_revoked", "revoked"]
    assert total(page, "task_queue_wait_seconds_count") == started


@pytest.mark.parametrize("pool", ["solo", "threads", "prefork"])
def test_each_pool_counts_runs_and_waits(redis_tasks: Tasks, pool: str):
    with redis_tasks.worker("--pool", pool, "--concurrency", "2"):
        redis_tasks.run(
            "[task.delay() for task in (succeeds, fails, retries, rejects, ignores, replaces)];"
            "[succeeds.apply_async(countdown=2) for _ in range(3)];"
            "chord([add.si(), add.si()], group(add.si(), add.si()) | add.si()).delay()"
        )
        redis_tasks.agree(14)
        page = redis_tasks.site.page()

    assert total(page, "task_queue_wait_seconds_count") == redis_tasks.ledger().total()
    # Countdowns are no waits for the worker: three of 2 seconds, and one of 1.
    assert total(page, "task_queue_wait_seconds_sum") < 7
    assert total(page, "task_sends_total") == total(page, "task_queue_wait_seconds_count")


def test_a_run_that_is_terminated_is_revoked(redis_tasks: Tasks):
    with redis_tasks.worker("--concurrency", "2"):
        redis_tasks.run("is_terminated.delay()")
        eventually(lambda: bool(redis_tasks.lines()))
        ((_, task_id),) = redis_tasks.lines()
        redis_tasks.run(f"app.control.revoke({task_id!r}, terminate=True)")
        eventually(lambda: redis_tasks.counted() == {("is_terminated", "revoked"): 1})
        redis_tasks.run("succeeds.delay()")
        eventually(lambda: redis_tasks.counted()["succeeds", "success"] == 1)

        assert redis_tasks.counted().total() == 2
        redis_tasks.rest()


def test_a_cold_shutdown_loses_the_runs_that_it_cancels(redis_tasks: Tasks):
    with redis_tasks.site.gunicorn():
        served = redis_tasks.site.port
        with redis_tasks.worker("--concurrency", "2") as worker:
            redis_tasks.run("is_terminated.delay(); is_terminated.delay(); succeeds.delay()")
            eventually(lambda: len(redis_tasks.lines()) == 2)
            worker.send_signal(signal.SIGQUIT)
            worker.wait(30)

        redis_tasks.site.port = served
        assert redis_tasks.counted() == {("is_terminated", "lost"): 2}
        redis_tasks.rest()


def test_every_process_of_a_pool_that_runs_one_task_is_counted(redis_tasks: Tasks):
    with redis_tasks.worker("--concurrency", "2", "--max-tasks-per-child", "1"):
        redis_tasks.run("[task.delay() for task in (succeeds, fails) * 5]")
        redis_tasks.agree(10)


def test_another_worker_takes_the_port_of_one_that_is_killed(redis_tasks: Tasks):
    port = redis_tasks.site.port
    with redis_tasks.worker("--concurrency", "2", "--hostname", "first@here") as first:
        eventually(lambda: is_listening(port))
        redis_tasks.run("succeeds.delay()")
        redis_tasks.agree(1)
        with redis_tasks.site.running("second", *SECOND):
            second = redis_tasks.site.log("second")
            eventually(lambda: " ready." in second.read_text())
            first.kill()
            first.wait()
            eventually(lambda: is_listening(port), 10)

            redis_tasks.run("succeeds.delay()")
            redis_tasks.agree(2)
            assert second.read_text().count("(WORKER_PORT)") == 1


def test_a_worker_that_looks_for_tasks_in_other_packages_serves_the_metrics(redis_tasks: Tasks):
    redis_tasks.site.environment["PACKAGES_WITH_TASKS"] = "depot"
    with redis_tasks.worker("--concurrency", "2"):
        eventually(lambda: is_listening(redis_tasks.site.port))
        redis_tasks.run("succeeds.delay()")
        redis_tasks.agree(1)
        log = redis_tasks.site.log("celery").read_text()
        assert "unregistered task" not in log
        assert log.count("(WORKER_PORT)") == 0


def test_beat_alone_serves_the_metrics_of_its_host(redis_tasks: Tasks):
    with redis_tasks.site.beat():
        eventually(lambda: is_listening(redis_tasks.site.port))

        def is_seen() -> bool:
            return total(redis_tasks.site.page(), "beat_last_tick_timestamp_seconds") > 0

        eventually(is_seen, 20)
        assert total(redis_tasks.site.page(), "tachikoma_metrics_errors_total") == 0
