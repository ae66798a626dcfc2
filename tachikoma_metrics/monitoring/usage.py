"""Which metrics the project records, according to its source.

The command that writes a dashboard runs before the project has recorded anything, and imports only
a part of it. So the source is searched for the functions that record metrics.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.apps import apps

import tachikoma_metrics
from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue import tasks
from tachikoma_metrics.catalogue.definitions import Family

_API = re.compile(r"`(\w+)`")
_AUTOMATIC = (
    catalogue.RECORDED_BY_MIDDLEWARE
    | catalogue.RECORDED_BY_DATABASES
    | catalogue.RECORDED_BY_CACHES
    | {family.name for family in catalogue.FAMILIES.values() if family.is_own_health}
    | {name for name, one in catalogue.FAMILIES.items() if one.recorded_by == catalogue.BUSINESS}
)
"""Metrics that are recorded without a call by the project."""

_IMPORTED = {
    tasks.TASK_SYSTEMS: ("celery", "django.tasks", "django_tasks"),
    "Celery": ("celery",),
}
"""What a project imports whose tasks are measured, by what records the metrics."""

_OWN_DIRECTORY = Path(tachikoma_metrics.__file__).parent
_SKIPPED_DIRECTORIES = frozenset({"migrations", "node_modules", "tests"})
_MOST_FILES = 20_000
_MOST_BYTES = 1_000_000


def unused_metrics() -> frozenset[str]:
    """Return the names of the metrics for which nothing in the project's source is used."""
    is_automatic = _AUTOMATIC | (
        catalogue.RECORDED_BY_COMMANDS if conf.config().commands else set()
    )
    waiting = {
        name: _words(family)
        for name, family in catalogue.FAMILIES.items()
        if name not in is_automatic
    }
    for text in _texts(_directories()):
        waiting = {
            name: words
            for name, words in waiting.items()
            if not any(word in text for word in words)
        }
        if not waiting:
            break
    return frozenset(waiting)


def _words(family: Family) -> list[bytes]:
    """Return what the source contains if it records a metric, such as the name of a function."""
    names: tuple[str, ...] = ()
    if family.name not in catalogue.RECORDED_BY_COMMANDS:
        names = tuple(_API.findall(family.recorded_by))
    imported = next(
        (words for recorder, words in _IMPORTED.items() if recorder in family.recorded_by), ()
    )
    return [word.encode() for word in (*names, *imported, family.name)]


def _directories() -> list[Path]:
    """Return the directories with the source of the project and of its apps."""
    found = [
        Path(app.path)
        for app in apps.get_app_configs()
        if app.name.partition(".")[0] not in ("django", tachikoma_metrics.__name__)
    ]
    for module in (conf.settings_module() or "", *conf.asgi_modules()):
        package = sys.modules.get(module.partition(".")[0])
        file = getattr(package, "__file__", None)
        if file and hasattr(package, "__path__"):
            # The directory of manage.py.
            found.append(Path(file).parent.parent)
    return [one for one in found if one.name not in ("site-packages", "dist-packages")]


def _texts(directories: Iterable[Path]) -> Iterator[bytes]:
    left = _MOST_FILES
    seen: set[str] = set()
    for directory in directories:
        for place, inner, files in os.walk(directory):
            if place in seen:
                inner.clear()
                continue
            seen.add(place)
            inner[:] = [name for name in inner if _is_searched(Path(place, name))]
            for name in files:
                if name.endswith(".py") and left:
                    left -= 1
                    yield _text(Path(place, name))


def _is_searched(directory: Path) -> bool:
    is_hidden = directory.name.startswith(".") or directory.name in _SKIPPED_DIRECTORIES
    is_environment = (directory / "pyvenv.cfg").exists()
    return not is_hidden and not is_environment and directory != _OWN_DIRECTORY


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes() if file.stat().st_size <= _MOST_BYTES else b""
    except OSError:
        return b""
