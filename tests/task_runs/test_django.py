"""The tasks of ``django.tasks``, and of its backport for Django 5.2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import django
import pytest

from tachikoma_metrics.task_runs import django_signals
from tachikoma_metrics.testing import sample_value
from tests.services.processes import missing

ROOT = Path(__file__).resolve().parent.parent.parent
ERRANDS = "tests.task_runs.django_errands"
IMMEDIATE = {"default": {"BACKEND": "django.tasks.backends.immediate.ImmediateBackend"}}

needs_tasks = pytest.mark.skipif(
    django.VERSION < (6, 0), reason="Django has tasks from 6.0 onwards"
)


@pytest.fixture
def errands() -> Any:
    from tests.task_runs import django_errands

    django_errands.seen.clear()
    return django_errands


def sends(task: str, queue: str = "default") -> float | None:
    return sample_value("task_sends_total", task=f"{ERRANDS}.{task}", queue=queue)


def runs(task: str, outcome: str, queue: str = "default") -> float | None:
    labels = {"task": f"{ERRANDS}.{task}", "queue": queue, "outcome": outcome}
    return sample_value("task_runs_total", **labels)


# --- what a backend sends ---------------------------------------------------


@needs_tasks
def test_a_task_is_counted_where_it_is_sent_and_where_it_runs(errands: Any):
    assert errands.add.enqueue(1, 2).return_value == 3

    assert (sends("add"), runs("add", "success")) == (1, 1)
    assert sample_value("task_run_duration_seconds_count", task=f"{ERRANDS}.add") == 1
    assert sample_value("task_queue_wait_seconds_count", queue="default") == 1
    assert sample_value("task_runs_in_progress") == 0
    assert sample_value("tachikoma_metrics_errors_total", source="task") in (None, 0)


@needs_tasks
def test_django_accepts_the_receivers_while_debugging(settings):
    settings.DEBUG = True

    django_signals.connect("django.tasks")


@needs_tasks
def test_the_queue_is_that_of_the_task(errands: Any, settings):
    settings.TASKS = {"default": {**IMMEDIATE["default"], "QUEUES": ["default", "mail"]}}
    errands.add.using(queue_name="mail").enqueue(1, 2)

    assert (sends("add", "mail"), runs("add", "success", "mail")) == (1, 1)
    assert sample_value("task_queue_wait_seconds_count", queue="mail") == 1


@needs_tasks
@pytest.mark.parametrize(("task", "error_type"), [("fail", "LookupError"), ("leave", "SystemExit")])
def test_an_exception_is_a_failure(errands: Any, settings, task: str, error_type: str):
    labels = ["task", "queue", "outcome", "error_type"]
    settings.TACHIKOMA_METRICS = {"LABELS": {"task_runs_total": labels}}
    getattr(errands, task).enqueue()

    found = sample_value(
        "task_runs_total",
        task=f"{ERRANDS}.{task}",
        queue="default",
        outcome="failure",
        error_type=error_type,
    )
    assert found == 1
    assert sample_value("task_run_duration_seconds_count", task=f"{ERRANDS}.{task}") == 1


@needs_tasks
def test_runs_are_in_progress_while_their_tasks_run(errands: Any):
    errands.look.enqueue()
    errands.look_within.enqueue()

    assert errands.seen == [1, 2]
    assert sample_value("task_runs_in_progress") == 0


@needs_tasks
async def test_async_tasks_are_counted(errands: Any):
    await errands.add_async.aenqueue(1, 2)
    await errands.fail.aenqueue()

    assert (sends("add_async"), runs("add_async", "success")) == (1, 1)
    assert (sends("fail"), runs("fail", "failure")) == (1, 1)


@needs_tasks
def test_a_task_that_takes_its_context_is_counted(errands: Any):
    assert errands.attempt.enqueue().return_value == 1
    assert runs("attempt", "success") == 1


@needs_tasks
@pytest.mark.parametrize(
    "options", [{"TASKS": False}, {"TASKS": ["celery"]}, {"ENABLED": False}], ids=str
)
def test_tasks_that_the_settings_leave_out_are_not_counted(
    errands: Any, settings, options: dict[str, Any]
):
    settings.TACHIKOMA_METRICS = options
    errands.add.enqueue(1, 2)
    settings.TACHIKOMA_METRICS = {}

    assert (sends("add"), runs("add", "success")) == (None, None)


@needs_tasks
def test_the_last_success_is_exported_if_it_is_switched_on(errands: Any, settings):
    settings.TACHIKOMA_METRICS = {"EXTRA_METRICS": ["task_last_success_timestamp_seconds"]}
    began_at = time.time()
    errands.add.enqueue(1, 2)
    errands.fail.enqueue()

    name = "task_last_success_timestamp_seconds"
    at = sample_value(name, task=f"{ERRANDS}.add") or 0
    assert began_at <= at <= time.time()
    assert sample_value(name, task=f"{ERRANDS}.fail") is None


@needs_tasks
def test_a_run_whose_start_another_receiver_interrupts_is_counted_when_it_finishes(errands: Any):
    django_signals.on_finished(task_result=result(status="FAILED"))

    assert sample_value("task_runs_total", task="shop.pay", queue="till", outcome="failure") == 1
    assert sample_value("task_run_duration_seconds_count", task="shop.pay") in (None, 0)


# --- what other backends may send -------------------------------------------


def result(**facts: Any) -> Any:
    """Return the result of a task as a backend's worker has it."""
    now = datetime.now(timezone.utc)
    task = SimpleNamespace(module_path="shop.pay", queue_name="till", run_after=None)
    known = {
        "id": "1",
        "task": task,
        "status": "SUCCESSFUL",
        "worker_ids": ["a"],
        "enqueued_at": now - timedelta(seconds=7),
        "started_at": now,
        "errors": [],
    }
    return SimpleNamespace(**{**known, **facts})


@pytest.fixture
def clean_runs() -> Iterator[None]:
    django_signals._runs.clear()
    yield
    django_signals._runs.clear()


@pytest.mark.usefixtures("clean_runs")
def test_a_task_that_is_ready_again_is_a_retry_and_its_second_start_no_wait():
    for workers, status in ((["a"], "READY"), (["a", "b"], "SUCCESSFUL")):
        django_signals.on_started(task_result=result(worker_ids=workers))
        django_signals.on_finished(task_result=result(worker_ids=workers, status=status))

    labels = {"task": "shop.pay", "queue": "till"}
    assert sample_value("task_runs_total", outcome="retry", **labels) == 1
    assert sample_value("task_runs_total", outcome="success", **labels) == 1
    assert sample_value("task_queue_wait_seconds_count", queue="till") == 1


@pytest.mark.usefixtures("clean_runs")
@pytest.mark.parametrize(("run_after_seconds", "waited"), [(None, 7), (2, 5), (9, 0)])
def test_a_wait_is_from_when_a_task_could_have_started(
    run_after_seconds: int | None, waited: float
):
    one = result()
    if run_after_seconds is not None:
        one.task.run_after = one.enqueued_at + timedelta(seconds=run_after_seconds)
    django_signals.on_started(task_result=one)

    assert sample_value("task_queue_wait_seconds_sum", queue="till") == pytest.approx(waited)


@pytest.mark.usefixtures("clean_runs")
def test_runs_that_never_finish_are_bounded():
    for number in range(django_signals._MOST_RUNS + 5):
        django_signals.on_started(task_result=result(id=str(number)))

    assert len(django_signals._runs) == django_signals._MOST_RUNS
    assert sample_value("task_runs_in_progress") == django_signals._MOST_RUNS


def test_a_result_that_lacks_what_is_read_is_an_instrumentation_error():
    django_signals.on_enqueued(task_result=object())
    django_signals.on_finished(task_result=result(status="FORGOTTEN"))

    assert sample_value("tachikoma_metrics_errors_total", source="task") == 2


# --- processes that start ---------------------------------------------------

PROCESS = """
import json, sys, types
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["tachikoma_metrics"], SECRET_KEY="x", USE_TZ=True,
    TACHIKOMA_METRICS={"STORE_DIR": sys.argv[1]})
django.setup()
from tachikoma_metrics.testing import samples
before = [name for name, _ in samples() if name.startswith("task_")]
from PACKAGE import task
shop = types.ModuleType("shop")
def pay(): return 1
pay.__module__ = "shop"
shop.pay = sys.modules["shop"] = shop
shop.pay = task(pay)
CONNECT
shop.pay.enqueue()
found = {name: value for (name, labels), value in samples().items() if name.startswith("task_")
         and not name.endswith(("_bucket", "_sum"))
         and dict(labels).get("outcome", "success") == "success"}
print(json.dumps([before, found]))
"""

ALL = {
    "task_sends_total": 1,
    "task_runs_total": 1,
    "task_run_duration_seconds_count": 1,
    "task_queue_wait_seconds_count": 1,
    "task_runs_in_progress": 0,
}


def first_task(
    tmp_path: Path, package: str, connect: str = ""
) -> tuple[list[str], dict[str, float]]:
    """Return the task metrics of a process before and after its first task."""
    code = PROCESS.replace("PACKAGE", package).replace("CONNECT", connect)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    before, after = json.loads(done.stdout.splitlines()[-1])
    return before, after


@needs_tasks
def test_the_first_task_of_a_project_that_configures_none_is_counted(tmp_path: Path):
    assert first_task(tmp_path, "django.tasks") == ([], ALL)


@pytest.mark.skipif(django.VERSION >= (6, 0), reason="the backport is for Django 5.2")
def test_tasks_of_the_backport_are_counted(tmp_path: Path):
    if find_spec("django_tasks") is None:
        missing("django-tasks is not installed")
    # As the next maintenance does, unless the backport is in INSTALLED_APPS.
    connect = "from tachikoma_metrics import task_runs; task_runs.connect_imported()"

    assert first_task(tmp_path, "django_tasks", connect) == ([], ALL)
