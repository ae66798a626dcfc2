"""Values that may be changed from anywhere: threads, signal handlers, finalisers, forks.

A thread that finds another change under way, in another thread or in the frame that it
interrupted, queues its own, and the other applies it: no thread waits, and no change is lost.
"""

from __future__ import annotations

import math
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from tachikoma_metrics.catalogue.labels import overflow
from tachikoma_metrics.store.exclusion import one_at_a_time
from tachikoma_metrics.store.layout import SET_AT, VALUE, WAS_CHANGED, Exemplar, Series
from tachikoma_metrics.store.progress import Progress
from tachikoma_metrics.store.writer import STORE, Store

NOWHERE = memoryview(b"")
"""Memory that has been released: any access raises ``ValueError``."""
NOWHERE.release()


class Cell:
    """Hold the values of one label set, or one of them.

    ``memory`` and ``index`` are where they are, until the store releases the memory.
    ``offset`` is the place of the first of ``width`` values in the record of the label set.
    ``bounds`` are the upper bounds of a histogram's buckets.
    """

    __slots__ = (
        "_exemplar",
        "bounds",
        "index",
        "memory",
        "offset",
        "series",
        "store",
        "width",
    )

    def __init__(
        self,
        series: Series | None,
        *,
        width: int = 1,
        store: Store = STORE,
    ) -> None:
        self.series = series
        self.store = store
        self.bounds: Sequence[float] | None = None
        if series is not None and series.declaration.bounds:
            self.bounds = series.declaration.bounds
        self.offset = 0
        self.width = width if series is None else series.declaration.width
        self.memory: Any = NOWHERE
        self.index = 0
        self._exemplar: Any = None

    # --- for the store: a StoredValue ---------------------------------------

    def locate(self) -> Series | None:
        """Return the label set of the cell; None if no other process is to read it."""
        return self.series

    @property
    def owner(self) -> int:
        """Return a number that differs after a metric is made again; 0 for those that last."""
        return 0

    def stay_apart(self) -> None:
        """Keep the values in private memory, from zero."""
        self.memory = array("d", [0.0] * self.width)
        self.index = 0

    def remove(self) -> None:
        """Reset the values to zero, and remove their record."""
        if self.series is None:
            self.memory = NOWHERE
        else:
            self.store.remove(self.series)

    @property
    def limit(self) -> float:
        """Return how many label sets the metric may have in one file."""
        return math.inf

    def overflowed(self, series: Series) -> Series:
        """Return the label set to count under if there is no room for this one."""
        return series._replace(labels=overflow(len(series.labels)))

    def on_full(self) -> None:
        """Handle that there was no room for the label set, which counts as ``overflow``."""

    # --- changes ------------------------------------------------------------

    def inc(self, amount: float) -> None:
        """Add ``amount``."""
        self.add(amount, perf_counter())

    @one_at_a_time
    def add(self, amount: float, now: float) -> None:
        """Add ``amount``; ``now`` is the time of ``perf_counter``."""
        store = self.store
        was_busy = True
        try:
            was_busy, store.busy = store.busy, True
            if was_busy:
                store.pending.append((self.add_now, (amount,)))
            else:
                if now >= store.due or not store.alive[0]:
                    store.maintain(now)
                try:
                    self.memory[self.index] += amount
                except ValueError:
                    self.add_now(amount)
        finally:
            if not was_busy:
                store.busy = False
        if store.pending:
            store.apply_pending()

    @one_at_a_time
    def begin(self, progress: Progress, now: float) -> None:
        """Count one more in progress; ``now`` is the time of ``perf_counter``."""
        store = self.store
        was_busy = True
        try:
            was_busy, store.busy = store.busy, True
            if was_busy:
                store.pending.append((progress.begin, (self,)))
            else:
                if now >= store.due or not store.alive[0]:
                    store.maintain(now)
                if progress.cell is None:
                    try:
                        self.memory[self.index] += 1.0
                    except ValueError:
                        progress.begin(self)
                    else:
                        progress.life, progress.cell = store.life, self
        finally:
            if not was_busy:
                store.busy = False
        if store.pending:
            store.apply_pending()

    def add_now(self, amount: float) -> None:
        """Add ``amount``. Call it only within ``STORE.change``."""
        try:
            self.memory[self.index] += amount
        except ValueError:
            self.store.attach(self)
            self.memory[self.index] += amount

    def observe(self, amount: float) -> None:
        """Add an observation to a histogram."""
        self.store.change(self.observe_now, amount)

    def observe_now(self, amount: float) -> None:
        """Add an observation. Call it only within ``STORE.change``."""
        self.add_now(0.0)
        bounds = self.bounds or ()
        place = bisect_left(bounds, amount)
        # NaN is below no bound, and bisect_left() puts it below the first.
        has_bucket = amount == amount and place < len(bounds)
        # No exception from outside can appear between the two.
        self.memory[self.index] += amount
        if has_bucket:
            self.memory[self.index + 1 + place] += 1.0

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the number."""
        self.store.change(self._set, value)

    def _set(self, value: float) -> None:
        self.add_now(0.0)
        self.memory[self.index] = value

    def follow(self, measure: Callable[[], float]) -> None:
        """Replace the number by what ``measure`` returns while nothing else changes it."""
        self.store.change(self._follow, measure)

    def _follow(self, measure: Callable[[], float]) -> None:
        self._set(measure())

    # --- readings -----------------------------------------------------------

    def get(self) -> float:
        """Return the number."""
        return self.values()[0]

    def values(self) -> list[float]:
        """Return all numbers of the cell."""
        self.store.apply_pending()
        try:
            memory, index = self.memory, self.index
            return [memory[place] for place in range(index, index + self.width)]
        except ValueError:
            # A read claims nothing, but values that were changed before may have moved.
            found = self.store.find(self)
            return [0.0] * self.width if found is None else found

    # --- exemplars ----------------------------------------------------------

    def exemplify(self, exemplar: Exemplar) -> None:
        """Keep an exemplar of a value that was added before, in the bucket that has the value."""
        place = bisect_left(self.bounds, exemplar.value) if self.bounds else 0
        # A value that is not a number is in no bucket.
        if self.series is not None and exemplar.value == exemplar.value:
            self.store.put_exemplar(self.series, place, exemplar)

    def set_exemplar(self, exemplar: Any) -> None:
        """Keep an exemplar of what was added to this value, as prometheus_client does."""
        self._exemplar = exemplar
        if self.series is not None:
            # A histogram has its sum before its buckets.
            place = max(self.offset - 1, 0)
            self.store.put_exemplar(self.series, place, Exemplar(*exemplar))

    def get_exemplar(self) -> Any:
        """Return the exemplar that this process set last."""
        return self._exemplar


class GaugeCell(Cell):
    """Hold the value of a gauge, and how and when it was set.

    The time is that of a clock that all processes of a host share, and that never goes back:
    https://man7.org/linux/man-pages/man2/clock_gettime.2.html
    """

    __slots__ = ()

    @property
    def is_set(self) -> bool:
        """Return whether this process gave the gauge a value."""
        return self.values()[SET_AT] != 0

    def add(self, amount: float, now: float) -> None:
        """Add ``amount``, and note the time."""
        self.store.change(self.add_now, amount)

    def add_now(self, amount: float) -> None:
        """Add ``amount``, and note the time. Call it only within ``STORE.change``."""
        super().add_now(amount)
        self.memory[self.index + WAS_CHANGED] = 1
        self.memory[self.index + SET_AT] = time.monotonic()

    def _set(self, value: float) -> None:
        super().add_now(0.0)
        self.memory[self.index + VALUE] = value
        self.memory[self.index + SET_AT] = time.monotonic()
