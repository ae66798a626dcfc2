"""One change at a time: a change that finds another under way is queued."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Any

from tachikoma_metrics.interruptions import is_interruption
from tachikoma_metrics.store.exclusion import one_at_a_time
from tachikoma_metrics.store.writer.forks import fork_mark
from tachikoma_metrics.store.writer.options import Options


class Changes(Options, ABC):
    """Apply changes one after the other, and report errors when no change is under way.

    ``busy``, ``pending``, ``alive`` and ``due`` are for the cells, which change values without a
    call to here: ``busy`` says that a change is under way, ``pending`` has those that wait for
    its end, ``alive`` is the mark that a fork wipes, and ``due`` is when maintenance is.
    """

    def __init__(self, where: Callable[[], tuple[str, ...]] = tuple) -> None:
        super().__init__(where)
        self.busy = False
        self.pending: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.alive = fork_mark()
        self.due = 0.0
        self._reports: deque[Callable[[], object]] = deque()
        self._is_reporting = False

    @abstractmethod
    def maintain(self, now: float) -> None:
        """Maintain the file of this process; called by a change, at ``now``."""

    @one_at_a_time
    def change(self, function: Callable[..., object], *arguments: object) -> None:
        """Call ``function`` while nothing else changes a value: now, or a little later."""
        now = perf_counter()
        was_busy = True
        try:
            was_busy, self.busy = self.busy, True
            if was_busy:
                self.pending.append((function, arguments))
            else:
                if now >= self.due or not self.alive[0]:
                    self.maintain(now)
                function(*arguments)
        finally:
            if not was_busy:
                self.busy = False
        if self.pending:
            self.apply_pending()

    @one_at_a_time
    def apply_pending(self) -> None:
        """Apply the queued changes, unless a change is under way: then its thread does.

        A thread that has queued a change calls this afterwards, and so does the thread whose
        change was under way, once that is over: one of the two finds the queued change.
        """
        while self.pending and not self.busy:
            was_busy = True
            try:
                was_busy, self.busy = self.busy, True
                if not was_busy:
                    self._apply_pending()
            finally:
                if not was_busy:
                    self.busy = False
        while self._reports and not self._is_reporting:
            self._report_all()

    def _report_all(self) -> None:
        # A report may lead back here; its own reports are for the loop it came from.
        was_reporting = True
        try:
            was_reporting, self._is_reporting = self._is_reporting, True
            while self._reports and not was_reporting:
                self._reports.popleft()()
        finally:
            if not was_reporting:
                self._is_reporting = False

    def _apply_pending(self) -> None:
        while self.pending:
            # Not popped by a call: an exception from outside would appear after it.
            function, arguments = self.pending[0]
            del self.pending[0]
            try:
                function(*arguments)
            except BaseException as error:
                if is_interruption(error):
                    if _was_within(function, error):
                        # No other thread would make this change.
                        function(*arguments)
                    raise
                self.report(error)  # type: ignore[arg-type]  # What is no Exception interrupts.

    def afterwards(self, call: Callable[[], object]) -> None:
        """Call ``call`` when this thread holds nothing that ``call`` could wait for."""
        self._reports.append(call)
        self.pending.append((nothing, ()))

    def report(self, error: Exception, about: object = None) -> None:
        """Report an instrumentation error, once nothing is held."""
        self.afterwards(partial(self.on_error, error, about))

    def _discard_pending(self) -> None:
        """Forget, in a forked child, the changes and the reports of its parent."""
        self.busy = False
        self.pending.clear()
        self._reports.clear()
        self._is_reporting = False


def _was_within(function: Any, error: BaseException) -> bool:
    """Return whether an exception left ``function``, called by the frame that caught it."""
    called = error.__traceback__.tb_next if error.__traceback__ else None
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return called is not None and called.tb_frame.f_code is code


def nothing() -> None:
    """Change nothing: a caller that needs a change to take place applies this one."""
