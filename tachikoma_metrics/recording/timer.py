"""A timer for blocks and functions."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction

from tachikoma_metrics.registry import METRICS

Function = TypeVar("Function", bound=Callable[..., Any])


class Timer:
    """Measure seconds, and call ``callback`` with them, once.

    The timer starts when it is made, or when its ``with`` block begins; it stops at ``stop()``, or
    at the end of the block. As a decorator it times each call of a function, sync or async.

    For a generator function, it times only the creation of the generator. A callback that raises
    is counted in ``tachikoma_metrics_errors_total``::

        with Timer(lambda seconds: record_db_query("select", "orders", seconds)):
            ...
    """

    def __init__(self, callback: Callable[[float], object]) -> None:
        self._callback = callback
        self._pending = [callback]
        self._seconds = 0.0
        self._started_at = time.perf_counter()

    def stop(self) -> float:
        """Call the callback unless it was called before; return the seconds measured."""
        seconds = time.perf_counter() - self._started_at
        try:
            # Popping is atomic: if two threads stop a timer, one of them calls back.
            callback = self._pending.pop()
        except IndexError:
            return self._seconds
        self._seconds = seconds
        try:
            callback(seconds)
        except Exception as error:
            METRICS.count_error("timer", error)
        return seconds

    def __enter__(self) -> Timer:
        self._started_at = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __call__(self, function: Function) -> Function:
        """Return ``function``, timed at each call."""
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed(*args: Any, **kwargs: Any) -> Any:
                with Timer(self._callback):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def timed(*args: Any, **kwargs: Any) -> Any:
                with Timer(self._callback):
                    return function(*args, **kwargs)

        return timed  # type: ignore[return-value]  # wraps() keeps the signature.
