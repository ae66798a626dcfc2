"""Where values live: in the memory of this process.

prometheus_client would choose by an environment variable, at import, and fail if the
directory it names is missing; its locks hang a thread whose signal handler or
finaliser records something while they are held.
"""

from __future__ import annotations

import threading
from collections import deque

from prometheus_client.samples import Exemplar


class Cell:
    """Hold one number, as the values of prometheus_client do.

    Safe to change from anywhere: an increment that interrupts another one in its
    own thread waits in a queue for it.
    """

    __slots__ = ("_exemplar", "_is_busy", "_lock", "_value", "_waiting")

    def __init__(self) -> None:
        self._value = 0.0
        self._exemplar: Exemplar | None = None
        self._lock = threading.RLock()
        self._is_busy = False
        self._waiting: deque[float] = deque()

    def inc(self, amount: float) -> None:
        """Add ``amount``."""
        with self._lock:
            if self._is_busy:
                self._waiting.append(amount)
                return
            self._is_busy = True
            try:
                self._value += amount
                if self._waiting:
                    self._settle()
            finally:
                self._is_busy = False

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the number."""
        with self._lock:
            self._waiting.clear()
            self._value = value

    def get(self) -> float:
        """Return the number."""
        with self._lock:
            if not self._is_busy:
                self._settle()
            return self._value

    def set_exemplar(self, exemplar: Exemplar) -> None:
        """Keep an example of what was counted."""
        self._exemplar = exemplar

    def get_exemplar(self) -> Exemplar | None:
        """Return the latest example of what was counted."""
        return self._exemplar

    def _settle(self) -> None:
        while self._waiting:
            self._value += self._waiting.popleft()
