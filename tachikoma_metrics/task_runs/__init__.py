"""Tasks of Celery and of ``django.tasks``: sends, waits, runs and schedules."""

from __future__ import annotations

import sys

from tachikoma_metrics.conf import config
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE
from tachikoma_metrics.task_runs.imports import call_after_import

_SYSTEMS = {"celery": "celery", "django.tasks": "django", "django_tasks": "django"}
"""What ``TASKS`` calls the tasks of each package, which may not be installed."""

_connected: set[str] = set()


def install() -> None:
    """Connect to the signals of each task system that is imported, now and later.

    Each maintenance of the store connects what ``TASKS`` did not name when it was imported.
    """
    connect_imported()
    for package in _SYSTEMS:
        if package not in _connected:
            call_after_import(f"{package}.signals", connect_imported)
    STORE.on_maintenance(connect_imported)


def connect_imported() -> None:
    """Connect to the task systems that are imported by now. Never raises."""
    for package, system in _SYSTEMS.items():
        if package in _connected or f"{package}.signals" not in sys.modules:
            continue
        try:
            if config().measures_tasks_of(system):
                _connected.add(package)
                _connect(package)
        except Exception as error:
            METRICS.count_error("task", error)


def _connect(package: str) -> None:
    # Either imports the task system that it is for.
    if package == "celery":
        from tachikoma_metrics.task_runs import celery_signals

        celery_signals.connect()
    else:
        from tachikoma_metrics.task_runs import django_signals

        django_signals.connect(package)
