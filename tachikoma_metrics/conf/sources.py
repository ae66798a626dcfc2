"""The source of the project: which files it has, and what is in them."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator
from pathlib import Path

from django.apps import apps

from tachikoma_metrics.conf.project import asgi_modules, settings_module

_OWN_DIRECTORY = Path(__file__).parents[1]
_NEVER_SEARCHED = frozenset({"node_modules"})
_MOST_FILES = 20_000
_MOST_BYTES = 1_000_000


def files(skipped: Collection[str] = ()) -> Iterator[tuple[Path, bytes]]:
    """Yield each Python file of the project and of its apps, with its text.

    Directories whose names are in ``skipped`` are not searched, nor are packages that were
    installed with pip. The text of a file that cannot be read is empty.
    """
    left = _MOST_FILES
    seen: set[str] = set()
    for directory in _directories():
        for place, inner, names in os.walk(directory):
            if place in seen:
                inner.clear()
                continue
            seen.add(place)
            inner[:] = sorted(name for name in inner if _is_searched(Path(place, name), skipped))
            for name in sorted(names):
                if name.endswith(".py") and left:
                    left -= 1
                    yield Path(place, name), _text(Path(place, name))


def _directories() -> list[Path]:
    """Return the directories with the source of the project and of its apps."""
    found = [
        Path(app.path)
        for app in apps.get_app_configs()
        if app.name.partition(".")[0] not in ("django", _OWN_DIRECTORY.name)
    ]
    for module in (settings_module() or "", *asgi_modules()):
        package = sys.modules.get(module.partition(".")[0])
        file = getattr(package, "__file__", None)
        if file and hasattr(package, "__path__"):
            # The directory of manage.py.
            found.append(Path(file).parent.parent)
    return [one for one in found if one.name not in ("site-packages", "dist-packages")]


def _is_searched(directory: Path, skipped: Collection[str]) -> bool:
    name = directory.name
    is_skipped = name.startswith(".") or name in _NEVER_SEARCHED or name in skipped
    is_environment = (directory / "pyvenv.cfg").exists()
    return not is_skipped and not is_environment and directory != _OWN_DIRECTORY


def _text(file: Path) -> bytes:
    try:
        return file.read_bytes() if file.stat().st_size <= _MOST_BYTES else b""
    except OSError:
        return b""
