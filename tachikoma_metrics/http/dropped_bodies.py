"""Response bodies that were dropped unread, until a later request or scrape records their end.

A body may be dropped while the thread holds the lock that recording needs, so the end cannot
be recorded there and then.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from tachikoma_metrics.interruptions import suppress


class Closable(Protocol):
    """The measurement of a request whose response body was dropped."""

    def close(self) -> None:
        """Record the end of the request, unless it has been recorded."""


dropped: deque[Closable] = deque()
"""Dropped bodies, of the app's responses and of responses from upstream APIs."""


def finish_dropped() -> None:
    """Record the end of each request whose response body was dropped before it was complete."""
    while True:
        try:
            measurement = dropped[0]
        except IndexError:
            return
        # Removed only afterwards, for an exception may interrupt the call. Two threads may
        # close the same one: it is recorded once.
        measurement.close()
        with suppress(ValueError):
            dropped.remove(measurement)
