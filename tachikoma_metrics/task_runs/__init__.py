"""Tasks of Celery and of ``django.tasks``: sends, waits, runs and schedules."""

from __future__ import annotations

import sys

import django

from tachikoma_metrics.conf import config
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE

_SYSTEMS = {"celery": "celery", "django.tasks": "django", "django_tasks": "django"}
"""The name by which ``TASKS`` knows what each package has, which may not be installed."""

_connected: set[str] = set()


def install() -> None:
    """Connect to the signals of each task system that is imported, now and later.

    A task system that nothing has imported yet is looked for at each maintenance of the store.
    Only that of Django 6.0 and later is imported here, for 5 ms of CPU: nothing needs to import
    it before the first task.
    """
    STORE.on_maintenance(connect_imported)
    connect_imported()


def connect_imported() -> None:
    """Connect to the task systems that are present by now. Never raises."""
    for package, system in _SYSTEMS.items():
        if package in _connected or not _is_present(package):
            continue
        try:
            if config().measures_tasks_of(system):
                _connected.add(package)
                _connect(package)
        except Exception as error:
            METRICS.count_error("task", error)


def _is_present(package: str) -> bool:
    return package in sys.modules or (package == "django.tasks" and django.VERSION >= (6, 0))


def _connect(package: str) -> None:
    # Either imports the task system that it is for.
    if package == "celery":
        from tachikoma_metrics.task_runs import celery_signals

        celery_signals.connect()
    else:
        from tachikoma_metrics.task_runs import django_signals

        django_signals.connect(package)
