"""Since when label sets have been counted: the earliest start that any file has."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence

from tachikoma_metrics.store import layout, system
from tachikoma_metrics.store.reading import Reading

Firsts = list[list[list["int | None"]]]
"""The places of the first values: of each label set, and of those added to it, in each file."""


class Starts:
    """Find the starts of the label sets of one metric, once, and only if they are needed.

    A record has the time at which it was made, and that changes only when the record moves.
    """

    def __init__(self, find_firsts: Callable[[], Firsts]) -> None:
        self._find_firsts = find_firsts
        self._found: list[float] | None = None

    def of(self, readings: Sequence[Reading]) -> Sequence[float]:
        """Return the Unix time of each start; +Inf where nothing was counted yet."""
        if self._found is None:
            zeros = [reading.header.clock_zero or system.clock_zero() for reading in readings]
            files = list(zip(readings, zeros, strict=True))
            self._found = [
                min(_starts(one, files), default=math.inf) for one in self._find_firsts()
            ]
        return self._found


def _starts(
    firsts: list[list[int | None]], files: Sequence[tuple[Reading, float]]
) -> Iterator[float]:
    now = time.monotonic()
    for of_one in firsts:
        for first, (reading, zero) in zip(of_one, files, strict=True):
            if first is not None:
                made_at = layout.moment_of(reading.content, first)
                # It may also be ``NOT_COUNTED``, or any bytes of a damaged file.
                if 0 <= made_at <= now:
                    yield zero + made_at
