"""Share one piece of work among all who ask for it while it waits its run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class _Run(Generic[Result]):
    def __init__(self) -> None:
        self.is_over = threading.Event()
        self.result: Result | None = None


class Coalescer(Generic[Result]):
    """Do one thing at a time, and each thing once for all who wait for it.

    A result is shared only by those who asked before the work on it began, so that
    nobody is shown what was true before they asked.
    """

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Forget who waits: after a fork, in the child, nobody does."""
        self._work = threading.Lock()
        self.waiting: dict[Hashable, _Run[Result]] = {}
        self._working = threading.local()

    def run(self, key: Hashable, work: Callable[[], Result]) -> Result:
        """Return what ``work`` returns, called by this thread or by one that waits as well.

        Raises what ``work`` raises; others then try themselves. Called in the midst of
        its own work, it works at once.
        """
        if getattr(self._working, "is_here", False):
            return work()
        # From the first line on: a signal handler must not wait for the frame it is in.
        self._working.is_here = True
        try:
            return self._run(key, work)
        finally:
            self._working.is_here = False

    def _run(self, key: Hashable, work: Callable[[], Result]) -> Result:
        run: _Run[Result] = _Run()
        try:
            # One step for all threads, as the exchange of a flag is.
            joined = self.waiting.setdefault(key, run)
            if joined is run:
                run.result = self._worked(key, work)
                return run.result
        finally:
            # Whatever is raised, wherever: nobody must wait for what never comes.
            if self.waiting.get(key) is run:
                del self.waiting[key]
            run.is_over.set()
        joined.is_over.wait()
        return self._run(key, work) if joined.result is None else joined.result

    def _worked(self, key: Hashable, work: Callable[[], Result]) -> Result:
        with self._work:
            del self.waiting[key]
            return work()
