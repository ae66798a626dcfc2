"""Which run each process of the prefork pool counted last.

A pool process that is killed between the count of a run and the report of its result looks, in
the main process, like one that is killed during the run. The pool process therefore notes the
run in memory that it shares with the main process, which counts only what is not noted.
"""

from __future__ import annotations

import mmap
from typing import Any

_MOST_PROCESSES = 1024
_NOTHING = 0

_noted = memoryview(mmap.mmap(-1, 8 * _MOST_PROCESSES)).cast("q")
"""One number for each process id modulo its length. Forked processes share it; where the pool
does not fork, each process has its own, and nothing is noted for the main process."""

_place: int | None = None
"""Where this process notes its runs, if it is of the prefork pool."""


def join_pool(pid: int) -> None:
    """Note the runs of this process from now on, which is of the prefork pool."""
    global _place
    _place = pid % _MOST_PROCESSES


def is_in_pool() -> bool:
    """Return whether this process is of the prefork pool, whose main process watches it."""
    return _place is not None


def begin() -> None:
    """Note that this pool process has begun a run, and so counted none since."""
    if _place is not None:
        _noted[_place] = _NOTHING


def note(task_id: str, retries: Any) -> None:
    """Note that this pool process has counted a run."""
    if _place is not None:
        _noted[_place] = hash((task_id, retries)) or 1


def is_noted(pid: Any, task_id: str, retries: Any) -> bool:
    """Tell whether the last run that a pool process counted is this one."""
    # Processes that are forked hash strings alike.
    number = hash((task_id, retries)) or 1
    return isinstance(pid, int) and _noted[pid % _MOST_PROCESSES] == number
