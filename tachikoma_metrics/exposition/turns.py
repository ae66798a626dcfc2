"""Share one piece of work among all who ask for it while it waits its turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class _Turn(Generic[Result]):
    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.result: Result | None = None


class Turns(Generic[Result]):
    """Do one thing at a time, and each thing once for all who wait for it.

    A result is shared only by those who asked before the work on it began, so that
    nobody is shown what was true before they asked.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Forget who waits: after a fork, in the child, nobody does."""
        self._lock = threading.Lock()
        self._work = threading.Lock()
        self.waiting: dict[Hashable, _Turn[Result]] = {}
        self._working = threading.local()

    def take(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns, called by this thread or by one that waits as well.

        Raises what ``work`` raises; others then try themselves. Called in the midst of
        its own work, it works at once.
        """
        if getattr(self._working, "is_here", False):
            return work()
        # From the first line on: a signal handler must not wait for the frame it is in.
        self._working.is_here = True
        try:
            return self._take(key, work)
        finally:
            self._working.is_here = False

    def _take(self, key: Hashable, work: Callable[[], Result]) -> Result:
        turn, is_first = self._join(key)
        if not is_first:
            turn.is_over.wait()
            return work() if turn.result is None else turn.result
        try:
            turn.result = self._worked(key, work)
            return turn.result
        finally:
            turn.is_over.set()

    def _join(self, key: Hashable) -> tuple[_Turn[Result], bool]:
        with self._lock:
            is_first = key not in self.waiting
            return self.waiting.setdefault(key, _Turn()), is_first

    def _worked(self, key: Hashable, work: Callable[[], Result]) -> Result:
        with self._work:
            with self._lock:
                del self.waiting[key]
            return work()
