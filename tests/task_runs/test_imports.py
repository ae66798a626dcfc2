from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from tachikoma_metrics.task_runs.imports import call_after_import

pytest.importorskip("celery", reason="the demo's environment has it")

LATE = """
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["tachikoma_metrics"],
    TACHIKOMA_METRICS={"STORE_DIR": None, "TASKS": TASKS},
)
import django, sys
django.setup()
assert "celery" not in sys.modules
import celery
app = celery.Celery(broker="memory://", set_as_current=False)
app.send_task("late")
from tachikoma_metrics.testing import sample_value
print(sample_value("task_sends_total", task="late", queue="celery"))
"""


@pytest.mark.parametrize(("tasks", "sent"), [("True", "1.0"), ("False", "None")])
def test_the_first_task_of_a_process_that_imports_celery_late_is_counted(tasks: str, sent: str):
    code = LATE.replace("TASKS}", f"{tasks}}}")

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60
    )

    assert done.stdout.strip() == sent, done.stderr


def test_a_module_is_the_same_to_whoever_looks_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "imported_late.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    called = []
    call_after_import("imported_late", lambda: called.append(sys.modules["imported_late"].value))

    import imported_late  # type: ignore[import-not-found]

    assert called == [1]
    assert type(imported_late.__loader__).__name__ == "SourceFileLoader"
    assert "exec_module" not in vars(imported_late.__loader__)
    assert importlib.util.find_spec("imported_late") is imported_late.__spec__


def test_two_calls_follow_one_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "imported_for_two.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    called: list[str] = []
    call_after_import("imported_for_two", lambda: called.append("first"))
    call_after_import("imported_for_two", lambda: called.append("second"))

    import imported_for_two  # type: ignore[import-not-found]  # noqa: F401

    assert called == ["first", "second"]
