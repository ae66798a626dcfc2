"""Calls that follow the import of a module, made by whatever imports it.

A process may import a task system after Django is set up: a view, or a command. This package
imports none by itself, so it waits for the import, by a finder that finds nothing and that
leaves the module's loader as it is.

https://docs.python.org/3/reference/import.html#the-meta-path
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from tachikoma_metrics.interruptions import suppress


class _Finder:
    """Return the spec that the other finders have for a module, such that a call follows."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[Callable[[], None]]] = {}

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return None for every module but those that calls wait for."""
        calls = self.waiting.pop(name, None)
        if calls is None:
            return None
        # This finder is asked again, and has nothing for that name any more.
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            _follow(spec.loader, calls)
        return spec


_FINDER = _Finder()


def call_after_import(name: str, call: Callable[[], None]) -> None:
    """Call ``call``, which raises nothing, once the module ``name`` is imported."""
    _FINDER.waiting.setdefault(name, []).append(call)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _follow(loader: Any, calls: Iterable[Callable[[], None]]) -> None:
    """Have a loader make ``calls`` after it has executed its module."""

    def exec_module(module: ModuleType) -> None:
        del loader.exec_module
        loader.exec_module(module)
        for call in calls:
            call()

    with suppress(AttributeError, TypeError):
        # A loader without a ``__dict__``: the next maintenance of the store connects.
        loader.exec_module = exec_module
