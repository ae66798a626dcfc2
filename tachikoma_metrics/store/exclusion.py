"""Mutual exclusion of changes, at the cost of one assignment.

A thread that is about to change a value exchanges a flag, in one statement without a call:

    was_busy, store.busy = store.busy, True

CPython switches threads, and runs signal handlers, after calls and at backward jumps
only (https://github.com/python/cpython/issues/74174), so no other code runs in between. A lock
would cost as much as everything else that an increment does. Without a global interpreter lock,
this module has a lock.
"""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_is_gil_enabled: Callable[[], bool] = getattr(sys, "_is_gil_enabled", lambda: True)

HAS_GIL = sys.implementation.name == "cpython" and _is_gil_enabled()
"""Whether an exchange of two names is atomic for all other threads."""

_lock = threading.RLock()


def one_at_a_time(function: Function) -> Function:
    """Run ``function``, which exchanges the flag, in one thread at a time."""
    if HAS_GIL:
        return function

    @functools.wraps(function)
    def alone(*arguments: Any) -> Any:
        with _lock:
            return function(*arguments)

    return alone  # type: ignore[return-value]  # wraps() keeps the signature.


def renew() -> None:
    """Replace the lock, in a forked child: a thread of its parent may hold it."""
    global _lock
    _lock = threading.RLock()
