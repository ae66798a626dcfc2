"""Since when label sets have been counted: the earliest start that any file has."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from itertools import chain

from tachikoma_metrics.store import system
from tachikoma_metrics.store.label_sets import FileIndex
from tachikoma_metrics.store.layout import DOUBLE
from tachikoma_metrics.store.reading import Reading


class Starts:
    """Find the starts of the label sets of one metric, once, and only if they are needed.

    ``groups`` are label sets, as numbers, each with those that are added to it. A record has the
    time at which it was made, which changes only if the places of records do.
    """

    def __init__(self, groups: Sequence[Sequence[int]], indexes: Sequence[FileIndex]) -> None:
        self._groups = groups
        self._indexes = indexes
        self._found: list[float] | None = None

    def of(self, readings: Sequence[Reading]) -> Sequence[float]:
        """Return the Unix time of each start; +Inf where nothing was counted yet."""
        if self._found is None:
            numbers = list(chain.from_iterable(self._groups))
            earliest = [math.inf] * len(numbers)
            for index, reading in zip(self._indexes, readings, strict=True):
                earliest = list(map(min, earliest, _starts(numbers, index, reading)))
            starts = iter(earliest)
            self._found = [min(next(starts) for _ in group) for group in self._groups]
        return self._found


def _starts(numbers: Sequence[int], index: FileIndex, reading: Reading) -> list[float]:
    """Return when each label set was made in one file; +Inf where that is unknown."""
    whole = len(reading.content) // DOUBLE * DOUBLE
    doubles: memoryview[float] = memoryview(reading.content)[:whole].cast("d")
    zero = reading.header.clock_zero or system.clock_zero()
    now = time.monotonic()
    made_at = [
        math.inf if first is None else doubles[first - 1]
        for first in map(index.firsts.get, numbers)
    ]
    # It may also be ``NOT_COUNTED``, or any bytes of a damaged file.
    return [zero + moment if 0 <= moment <= now else math.inf for moment in made_at]
