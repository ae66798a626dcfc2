"""Concurrent calls for the same result, coalesced into one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class _Run(Generic[Result]):
    def __init__(self) -> None:
        self.is_done = threading.Event()
        self.result: Result | None = None


class Coalescer(Generic[Result]):
    """Run one function at a time, and once for all threads that wait for the same result.

    A thread shares a result only if it began to wait before the function was called, so that no
    result is older than the thread's call.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Forget the waiting threads, in a forked child: they are the parent's."""
        self._work = threading.Lock()
        self.waiting: dict[Hashable, _Run[Result]] = {}
        self._current = threading.local()

    def run(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """Return the result of ``work``, which this thread or another that waits has called.

        Raises what ``work`` raises; other threads then call it themselves. If ``work`` calls
        this method, the inner ``work`` runs without waiting.
        """
        if getattr(self._current, "is_working", False):
            return work()
        # Before anything can wait: a signal handler must not wait for the frame it interrupts.
        self._current.is_working = True
        try:
            return self._run(key, work)
        finally:
            self._current.is_working = False

    def _run(self, key: Hashable, work: Callable[[], Result]) -> Result:
        run: _Run[Result] = _Run()
        try:
            # Atomic: one of the threads becomes the one that works.
            joined = self.waiting.setdefault(key, run)
            if joined is run:
                run.result = self._worked(key, work)
                return run.result
        finally:
            # In any case: no thread must wait for a result that never comes.
            if self.waiting.get(key) is run:
                del self.waiting[key]
            run.is_done.set()
        joined.is_done.wait()
        return self._run(key, work) if joined.result is None else joined.result

    def _worked(self, key: Hashable, work: Callable[[], Result]) -> Result:
        with self._work:
            del self.waiting[key]
            return work()
