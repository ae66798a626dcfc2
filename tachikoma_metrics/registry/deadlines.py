"""Calls with a timeout, for data that a scrape needs from another service.

Each call runs in a thread, so that the scrape can continue without its result. After a timeout,
scrapes do not wait for calls of the same name until one has been in time again.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")

TIMEOUT_SECONDS = 1.0

_SECONDS_UNTIL_ABANDONED = 30.0
_MOST_ABANDONED = 3


class TimedCall(Generic[Result]):
    """Call ``function`` in a thread, from now on.

    ``seconds_to_wait`` is how long ``wait`` blocks, at most; with zero the call is not waited for.
    A call that takes longer than ``timeout`` has timed out, whether it was waited for or not.

    ``on_error`` is called once if there is no result in time: with the exception that was
    raised, or with a ``TimeoutError`` that has the ``timeout_message``.
    """

    def __init__(
        self,
        name: str,
        function: Callable[[], Result],
        on_error: Callable[[Exception], object],
        timeout_message: str,
        seconds_to_wait: float,
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        self.result: Result | None = None
        self.began_at = monotonic()
        self._function = function
        self._on_error: Callable[[Exception], object] | None = on_error
        self._timeout_message = timeout_message
        self._timeout = timeout
        self._duration = 0.0
        self._wait_until = self.began_at + seconds_to_wait
        self._is_waited_for = seconds_to_wait > 0
        self._is_done = threading.Event()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    @property
    def is_done(self) -> bool:
        """Return whether the call has returned or raised."""
        return self._is_done.is_set()

    @property
    def timed_out(self) -> bool:
        """Return whether a call that is done took longer than its timeout."""
        return self._duration > self._timeout

    def wait(self, at_most: float = math.inf) -> Result | None:
        """Return the result; None if there is none in time, or in ``at_most`` seconds."""
        seconds = min(self._wait_until - monotonic(), at_most)
        if self._is_done.wait(max(0.0, seconds)):
            return None if self.timed_out else self.result
        # A call that is not waited for reports its timeout by itself.
        if self._is_waited_for:
            self._fail(TimeoutError(self._timeout_message))
        return None

    def _run(self) -> None:
        try:
            self.result = self._function()
        except Exception as error:
            self._fail(error)
        except BaseException as error:
            # Not all of gevent's timeouts are Exceptions, and no caller above catches this.
            self._fail(RuntimeError(repr(error)))
        finally:
            self._duration = monotonic() - self.began_at
            try:
                if self.timed_out:
                    self._fail(TimeoutError(self._timeout_message))
            finally:
                self._is_done.set()

    def _fail(self, error: Exception) -> None:
        # A call that times out and then raises is one error.
        on_error, self._on_error = self._on_error, None
        if on_error is not None:
            on_error(error)


class TimedCalls:
    """Remember the last call of each name, so that the same is not called twice at a time."""

    def __init__(self, timeout: float = TIMEOUT_SECONDS) -> None:
        self._timeout = timeout
        self.forget()

    def forget(self) -> None:
        """Forget all calls, in a forked child: their threads are the parent's."""
        self._lock = threading.Lock()
        self._calls: dict[str, TimedCall[Any]] = {}
        self._abandoned: list[TimedCall[Any]] = []

    def start(
        self,
        name: str,
        function: Callable[[], Result],
        on_error: Callable[[Exception], object],
        timeout_message: str,
    ) -> TimedCall[Result]:
        """Return the call of this name that is under way, or start it now."""
        with self._lock:
            call = self._calls.get(name)
            if call is None or call.is_done or self._is_abandoned(call):
                # After a timeout, one call has to be in time before a scrape waits again.
                waits = call is None or (call.is_done and not call.timed_out)
                seconds = self._timeout if waits else 0.0
                call = TimedCall(name, function, on_error, timeout_message, seconds, self._timeout)
                self._calls[name] = call
            return call

    def discard(self, name: str) -> None:
        """Forget a call that was in time."""
        with self._lock:
            self._calls.pop(name, None)

    def _is_abandoned(self, call: TimedCall[Any]) -> bool:
        """Abandon a call that may never return, because it hangs in the network."""
        if monotonic() - call.began_at < _SECONDS_UNTIL_ABANDONED:
            return False
        self._abandoned = [one for one in self._abandoned if not one.is_done]
        if len(self._abandoned) >= _MOST_ABANDONED:
            return False
        self._abandoned.append(call)
        return True
