"""Which metrics the project records, according to its source.

The command that writes a dashboard runs before the project has recorded anything, and imports only
a part of it. So the source is searched for the functions that record metrics.
"""

from __future__ import annotations

import re

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue import tasks
from tachikoma_metrics.catalogue.definitions import Family
from tachikoma_metrics.conf import sources

_API = re.compile(r"`(\w+)`")
_OF_PUSHES = frozenset({catalogue.PUSHES.name, catalogue.PUSH_LAST_SUCCESS_TIMESTAMP.name})
_AUTOMATIC = (
    catalogue.RECORDED_BY_MIDDLEWARE
    | catalogue.RECORDED_BY_DATABASES
    | catalogue.RECORDED_BY_CACHES
    | ({family.name for family in catalogue.FAMILIES.values() if family.is_own_health} - _OF_PUSHES)
    | {name for name, one in catalogue.FAMILIES.items() if one.recorded_by == catalogue.BUSINESS}
)
"""Metrics that are recorded without a call by the project."""

_IMPORTED = {
    tasks.TASK_SYSTEMS: ("celery", "django.tasks", "django_tasks"),
    "Celery": ("celery",),
}
"""What a project imports whose tasks are measured, by what records the metrics."""

_SKIPPED_DIRECTORIES = frozenset({"migrations", "tests"})


def unused_metrics() -> frozenset[str]:
    """Return the names of the metrics for which nothing in the project's source is used."""
    config = conf.config()
    is_automatic = _AUTOMATIC | (catalogue.RECORDED_BY_COMMANDS if config.commands else set())
    waiting = {
        name: _words(family)
        for name, family in catalogue.FAMILIES.items()
        if name not in is_automatic | _OF_PUSHES
    }
    for _, text in sources.files(skipped=_SKIPPED_DIRECTORIES):
        waiting = {
            name: words
            for name, words in waiting.items()
            if not any(word in text for word in words)
        }
        if not waiting:
            break
    # The setting decides: who pushes by a command has its panels with ``--all``.
    return frozenset(waiting) | (frozenset() if config.otlp else _OF_PUSHES)


def _words(family: Family) -> list[bytes]:
    """Return what the source contains if it records a metric, such as the name of a function."""
    names: tuple[str, ...] = ()
    if family.name not in catalogue.RECORDED_BY_COMMANDS:
        names = tuple(_API.findall(family.recorded_by))
    imported = next(
        (words for recorder, words in _IMPORTED.items() if recorder in family.recorded_by), ()
    )
    return [word.encode() for word in (*names, *imported, family.name)]
