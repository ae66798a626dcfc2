"""Values that may be changed from anywhere: threads, signal handlers, finalisers, forks.

A change takes one lock, and no more than a few instructions under it. Whoever finds
another change under way, in another thread or in the very frame it interrupted, leaves
its own in a queue for the other to make: nobody waits, and nothing is lost.
"""

from __future__ import annotations

import math
import time
from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from time import perf_counter
from typing import Any, ClassVar

from tachikoma_metrics.store.layout import SET_AT, VALUE, WAS_CHANGED, Series
from tachikoma_metrics.store.writer import STORE, Store

_NOWHERE = memoryview(b"")
_NOWHERE.release()


class Cell:
    """Hold the values of one label set, or one of them.

    ``memory`` and ``index`` are where they are, until the store releases the memory;
    ``offset`` is where the first of ``width`` values is in the record of the label set.
    ``bounds`` are those of a histogram.
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

    has_exemplars: ClassVar[bool] = False
    """Whether any cell of this process ever had an example."""

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
        self.memory: Any = _NOWHERE
        self.index = 0
        self._exemplar: Any = None

    # --- where its values are -----------------------------------------------

    def locate(self) -> Series | None:
        """Return which record is this cell's; None if it is to be shared with nobody."""
        return self.series

    @property
    def owner(self) -> int:
        """Return a number that is another for a metric made anew; 0 for those that last."""
        return 0

    def stay_apart(self) -> None:
        """Keep the values in memory of the cell's own, from zero."""
        self.memory = array("d", [0.0] * self.width)
        self.index = 0

    def remove(self) -> None:
        """Start from zero, and have no record."""
        if self.series is None:
            self.memory = _NOWHERE
        else:
            self.store.remove(self.series)

    @property
    def limit(self) -> float:
        """Return the number of label sets the family may have in a slot."""
        return math.inf

    def when_full(self) -> None:
        """Be told that the label set found no room and counts as ``overflow``."""

    # --- changes ------------------------------------------------------------

    def inc(self, amount: float) -> None:
        """Add ``amount``."""
        self.add(amount, perf_counter())

    def add(self, amount: float, now: float) -> None:
        """Add ``amount``; ``now`` is the time of ``perf_counter``."""
        store = self.store
        if store.busy:
            store.defer(self._add, amount)
            return
        with store.lock:
            store.busy = True
            try:
                if now >= store.due or not store.alive[0]:
                    store.tend(now)
                try:
                    self.memory[self.index] += amount
                except ValueError:
                    self._add(amount)
            finally:
                store.busy = False
        if store.waiting:
            store.settle()

    def _add(self, amount: float) -> None:
        try:
            self.memory[self.index] += amount
        except ValueError:
            self.store.attach(self)
            self.memory[self.index] += amount

    def observe(self, amount: float) -> None:
        """Add an observation to a histogram."""
        self.store.change(self._observe, amount)

    def _observe(self, amount: float) -> None:
        self._add(amount)
        bounds = self.bounds or ()
        place = bisect_left(bounds, amount)
        # NaN is below no bound; bisecting says it is below the first.
        if amount == amount and place < len(bounds):
            self.memory[self.index + 1 + place] += 1

    def set(self, value: float, timestamp: float | None = None) -> None:
        """Replace the number."""
        self.store.change(self._set, value)

    def _set(self, value: float) -> None:
        self._add(0.0)
        self.memory[self.index] = value

    # --- readings -----------------------------------------------------------

    def get(self) -> float:
        """Return the number."""
        return self.values()[0]

    def values(self) -> list[float]:
        """Return all numbers of the cell."""
        self.store.settle()
        with self.store.lock:
            return self._now()

    def _now(self) -> list[float]:
        try:
            return list(self.memory[self.index : self.index + self.width])
        except ValueError:
            # Looking claims nothing; but what was changed before may have moved.
            found = self.store.find(self)
            return [0.0] * self.width if found is None else found

    def set_exemplar(self, exemplar: Any) -> None:
        """Keep an example of what was counted."""
        self._exemplar = exemplar
        Cell.has_exemplars = True

    def get_exemplar(self) -> Any:
        """Return the latest example of what was counted."""
        return self._exemplar


class GaugeCell(Cell):
    """Hold the value of a gauge that is told how, and when, it got it."""

    __slots__ = ()

    @property
    def is_set(self) -> bool:
        """Tell whether this process gave the gauge a value."""
        return self.values()[SET_AT] != 0

    def add(self, amount: float, now: float) -> None:
        """Add ``amount``, and tell when."""
        self.store.change(self._add, amount)

    def _add(self, amount: float) -> None:
        super()._add(amount)
        self.memory[self.index + WAS_CHANGED] = 1
        self.memory[self.index + SET_AT] = time.time()

    def _set(self, value: float) -> None:
        super()._add(0.0)
        self.memory[self.index + VALUE] = value
        self.memory[self.index + SET_AT] = time.time()


UNKNOWN = float("nan")
"""Stands for an amount that nobody knows, and is told by its identity."""


_INFINITY = math.inf

WhenLeft = Callable[[Any, Any, Any, list[int]], None]
"""Told the context and the places of what could not be recorded."""


def record(
    cells: Sequence[Cell | None],
    amounts: Sequence[float],
    now: float,
    ended: Cell | None,
    when_left: WhenLeft,
    context: object,
) -> None:
    """Add to each cell its amount, in one change; ``UNKNOWN`` adds nothing.

    ``now`` is the time of ``perf_counter``, ``ended`` the gauge of what was in progress,
    which becomes one less. ``when_left`` is called with context, cells, amounts and the
    places that have no cell, or an amount that is no finite number of at least zero.
    """
    store = STORE
    if store.busy:
        store.defer(_record_later, cells, amounts, ended, when_left, context)
        return
    with store.lock:
        store.busy = True
        try:
            if now >= store.due or not store.alive[0]:
                store.tend(now)
            left = _record(cells, amounts, ended)
        finally:
            store.busy = False
    if store.waiting:
        store.settle()
    if left:
        when_left(context, cells, amounts, left)


def _record_later(
    cells: Sequence[Cell | None],
    amounts: Sequence[float],
    ended: Cell | None,
    when_left: WhenLeft,
    context: object,
) -> None:
    left = _record(cells, amounts, ended)
    if left:
        STORE.afterwards(partial(when_left, context, cells, amounts, left))


def _record(
    cells: Sequence[Cell | None], amounts: Sequence[float], ended: Cell | None
) -> list[int] | None:
    left = None
    if ended is not None:
        try:
            ended.memory[ended.index] -= 1
        except ValueError:
            ended._add(-1)
    for place in range(len(amounts)):
        amount = amounts[place]
        if amount is UNKNOWN:
            continue
        cell = cells[place]
        try:
            if cell is not None and 0 <= amount < _INFINITY:
                index = cell.index
                try:
                    cell.memory[index] += amount
                except ValueError:
                    cell.store.attach(cell)
                    index = cell.index
                    cell.memory[index] += amount
                if cell.bounds is not None:
                    cell.memory[index + 1 + bisect_left(cell.bounds, amount)] += 1
                continue
        except Exception:  # noqa: S110  # Whoever is told finds out, where it may take longer.
            pass
        left = [*(left or ()), place]
    return left
