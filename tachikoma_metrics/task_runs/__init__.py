"""Tasks of Celery and of ``django.tasks``: sends, waits, runs and schedules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from tachikoma_metrics.conf import config
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE
from tachikoma_metrics.task_runs.imports import call_after_import

_MODULES = {
    "celery.signals": "celery",
    "celery.app.amqp": "celery",
    "celery.app.trace": "celery",
    "celery_batches.trace": "celery",
    "django.tasks.signals": "django",
    "django_tasks.signals": "django",
}
"""The modules that are connected to, none of which may be installed, and what ``TASKS`` calls the
tasks of each."""

_connected: set[str] = set()


def install() -> None:
    """Connect to each task system whose modules are imported, now and later.

    Each maintenance of the store connects what ``TASKS`` did not name when it was imported.
    """
    connect_imported()
    for module in _MODULES:
        if module not in _connected:
            call_after_import(module, partial(_connect_if_measured, module))
    STORE.on_maintenance(connect_imported)


def connect_imported() -> None:
    """Connect to the task systems that are imported by now. Never raises."""
    for module in _imported():
        _connect_if_measured(module)


def _imported() -> Iterator[str]:
    """Yield the modules that are imported, rather than being imported by another thread."""
    for name in _MODULES:
        spec = getattr(sys.modules.get(name), "__spec__", None)
        # As importlib does: https://github.com/python/cpython/blob/3.13/Lib/importlib/_bootstrap.py
        if name in sys.modules and not getattr(spec, "_initializing", False):
            yield name


def _connect_if_measured(module: str) -> None:
    if module in _connected:
        return
    try:
        if config().measures_tasks_of(_MODULES[module]):
            _connected.add(module)
            _connect(module)
    except Exception as error:
        METRICS.count_error("task", error)


def _connect(module: str) -> None:
    # Each imports the task system that it is for.
    if module == "celery.signals":
        from tachikoma_metrics.task_runs import celery_signals

        celery_signals.connect()
    elif module == "celery.app.amqp":
        from tachikoma_metrics.task_runs import celery_publications

        celery_publications.install()
    elif module == "celery.app.trace":
        from tachikoma_metrics.task_runs import celery_tracers

        celery_tracers.install()
    elif module == "celery_batches.trace":
        from tachikoma_metrics.task_runs import celery_signals

        celery_signals.receive_batches()
    else:
        from tachikoma_metrics.task_runs import django_signals

        django_signals.connect(module.rpartition(".")[0])
