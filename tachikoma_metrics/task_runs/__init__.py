"""Tasks of Celery and of ``django.tasks``: sends, waits, runs and schedules."""

from __future__ import annotations

import sys

from tachikoma_metrics.conf import config
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE

_installed: set[str] = set()


def install() -> None:
    """Connect to the signals of each task system that is imported, now and later.

    A task system that nothing has imported yet is looked for at each maintenance of the store,
    so that this package imports none by itself.
    """
    STORE.on_maintenance(connect_imported)
    connect_imported()


def connect_imported() -> None:
    """Connect to the task systems that are imported by now. Never raises."""
    for system, module, connect in (("celery", "celery", _connect_celery),):
        if system in _installed or module not in sys.modules:
            continue
        try:
            if config().measures_tasks_of(system):
                connect()
                _installed.add(system)
        except Exception as error:
            METRICS.count_error("task", error)


def _connect_celery() -> None:
    from tachikoma_metrics.task_runs import celery_signals

    celery_signals.connect()
