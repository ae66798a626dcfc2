"""Which process of a host sends: the one that holds the lease, until it ends.

Nothing of OpenTelemetry is imported here: a process that never sends does not need it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from django.db import close_old_connections

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.push.outcomes import Outcome
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE, Lease

_LEASE = "push-lock"
_TRIES_PER_INTERVAL = 4


class Pusher(Protocol):
    """Send values, once with each call of ``push``."""

    def push(self) -> Outcome:
        """Send the values of this moment."""

    def close(self) -> None:
        """Close the connection."""


class Turns:
    """Send every ``interval`` seconds while this process may.

    ``make`` is called when it first may, with the lease; what it raises is raised.
    """

    def __init__(self, interval: float, make: Callable[[Lease], Pusher]) -> None:
        self._interval = interval
        self._make = make
        self._lease = Lease(_LEASE)
        self._pusher: Pusher | None = None

    def run(
        self, is_over: threading.Event, on_wait: Callable[[], None] = lambda: None
    ) -> Outcome | None:
        """Send until ``is_over``, then once more; try often while another process sends.

        Returns what came of the last push; None if another process sends.
        ``on_wait`` is called each time that another process is found to be the sender.
        """
        pause, was_waiting = 0.0, False
        try:
            while not is_over.wait(pause):
                outcome = self.push()
                # A custom collector may have queried the database.
                close_old_connections()
                if outcome is None:
                    pause = self._interval / _TRIES_PER_INTERVAL
                    if not was_waiting:
                        on_wait()
                else:
                    pause = max(self._interval, outcome.retry_after)
                was_waiting = outcome is None
            return None if was_waiting else self.push()
        finally:
            self.close()

    def push(self) -> Outcome | None:
        """Send once and return what came of it; None if another process is the sender."""
        if not self._may_send():
            return None
        if self._pusher is None:
            self._pusher = self._make(self._lease)
        return self._pusher.push()

    def close(self) -> None:
        """Let another process send."""
        self._lease.release()
        if self._pusher is not None:
            self._pusher.close()

    def _may_send(self) -> bool:
        """Return whether this process is the sender.

        Where processes share no values, each one sends its own.
        """
        directory = shared_directory()
        if directory is None:
            return True
        try:
            return self._lease.acquire(directory)
        except OSError as error:
            pass_on(error)
            METRICS.count_error("push", error, directory)
            return False


def shared_directory() -> str | None:
    """Return where the processes of this service share values; None if they do not."""
    if not STORE.is_shared:
        STORE.claim()
    # A process without room for a file finds the others all the same.
    return STORE.directory()
