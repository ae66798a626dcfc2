"""The cells of several metrics that one event changes together."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from math import frexp
from typing import Any

from tachikoma_metrics.interruptions import is_interruption
from tachikoma_metrics.store.cells import NOWHERE, Cell
from tachikoma_metrics.store.exclusion import one_at_a_time
from tachikoma_metrics.store.layout import BLOCK_BITS, LAST_PLACE, ZERO
from tachikoma_metrics.store.native_cells import NativeCell
from tachikoma_metrics.store.progress import Progress
from tachikoma_metrics.store.writer import STORE

UNKNOWN = float("nan")
"""Stands for an unknown amount; it is compared by identity."""

_USE_SLOW_PATH = (LookupError, TypeError, ValueError)

Step = tuple[int, Any, int, Any]
"""The place of an amount, the index of its value if there is one, and the index and the bounds of
its buckets; for a histogram with native buckets, these are 0 and its cell."""

Start = tuple[Any, int, int, "Sequence[float]", int]
"""The memory, the index of a histogram and its buckets, their bounds, and the index of a gauge."""


class SeriesGroup:
    """Change several cells in one change, each by its amount.

    Amounts are finite numbers of at least zero. ``on_missing`` is called with the group,
    the amounts and the places of those that were not added, because they have no cell.
    ``gauge`` is what ``begin`` counts in.
    """

    __slots__ = (
        "_bounds", "_first_bucket", "_memory", "_number", "_on_missing", "_start", "_steps", "_sum",
        "cells", "gauge",
    )  # fmt: skip

    def __init__(
        self,
        cells: list[Cell | None],
        on_missing: Callable[[SeriesGroup, Sequence[float], list[int]], None],
        gauge: Cell | None = None,
    ) -> None:
        self.cells = cells
        self.gauge = gauge
        self._on_missing = on_missing
        self._memory: Any = NOWHERE
        self._steps: list[Step] = []
        self._prepare()

    @one_at_a_time
    def add_one(self, amount: float, now: float) -> None:
        """Add 1 to a counter and ``amount`` to a histogram, the two cells; ``now`` as in ``add``.

        From when it asks whether another change is under way, nothing else can run until all is
        added: there is no call, and no exception but one for memory that was released.
        """
        store = STORE
        try:
            bounds = self._bounds
            if bounds is not None and now < store.due and store.alive[0]:
                bucket = self._first_bucket
                # Most are in the first bucket, and finding that out needs no call.
                if amount > bounds[0]:
                    bucket += bisect_left(bounds, amount)
                if not store.busy:
                    memory = self._memory
                    memory[self._number] += 1.0
                    memory[self._sum] += amount
                    memory[bucket] += 1.0
                    return
        except BaseException as error:
            self.add((1.0, amount), now)
            if not isinstance(error, _USE_SLOW_PATH) or is_interruption(error):
                raise
        else:
            self.add((1.0, amount), now)

    @one_at_a_time
    def add(self, amounts: Sequence[float], now: float, ended: Progress | None = None) -> None:
        """Add each amount to the cell in its place; ``UNKNOWN`` adds nothing.

        ``now`` is the time of ``perf_counter``. ``ended`` is the operation that ends with this; if
        it had ended before, or began in another process, nothing is added. An exception from
        outside is raised after everything was added.
        """
        store = STORE
        left = None
        done = -1
        is_to_be_added = ended is None
        was_busy = True
        try:
            was_busy, store.busy = store.busy, True
            if was_busy:
                store.pending.append((self._add_later, (amounts, ended or Progress())))
            else:
                if now >= store.due or not store.alive[0]:
                    store.maintain(now)
                if ended is not None:
                    is_to_be_added = not ended.is_over and ended.life == store.life
                    ended.is_over = True
                    gauge = ended.cell if is_to_be_added else None
                    if gauge is not None:
                        try:
                            gauge.memory[gauge.index] -= 1.0
                        except ValueError:
                            ended.leave()
                        else:
                            ended.cell = None
                memory = self._memory
                for place, index, first_bucket, bounds in self._steps if is_to_be_added else ():
                    amount = amounts[place]
                    if amount is not UNKNOWN:
                        if bounds is None:
                            memory[index] += amount  # None raises TypeError: the slow path.
                        elif first_bucket:
                            bucket = first_bucket + bisect_left(bounds, amount)
                            memory[index] += amount
                            memory[bucket] += 1.0
                        else:
                            cell = bounds
                            if amount > cell.zero_threshold:
                                fraction, exponent = frexp(amount)
                                lane = bisect_left(cell.fractions, fraction)
                                lane += exponent << cell.schema
                                block = cell.blocks[lane >> BLOCK_BITS]
                                native = block + (lane & LAST_PLACE)
                            else:
                                native = cell.blocks[ZERO]
                            bucket = index + 1 + bisect_left(cell.bounds, amount)
                            words = cell.words
                            memory[index] += amount
                            memory[bucket] += 1.0
                            words[native] += 1
                    done = place
        except BaseException as error:
            if was_busy:
                raise
            if is_to_be_added or (ended is not None and ended.finish()):
                left = self._add_rest(amounts, done + 1, ended)
            if not isinstance(error, _USE_SLOW_PATH) or is_interruption(error):
                self._report_missing(amounts, left)
                raise
        finally:
            if not was_busy:
                store.busy = False
        if store.pending:
            store.apply_pending()
        if left:
            self._on_missing(self, amounts, left)

    @one_at_a_time
    def begin(self, amount: float, progress: Progress, now: float) -> bool:
        """Add ``amount`` to the histogram, and count one more in the gauge, in one change.

        ``progress`` is new, and ``now`` is the time of ``perf_counter``. Returns False, and
        changes nothing, if that takes more than this: ``add`` and ``Cell.begin`` do it then.
        """
        if self._start is None:
            return False
        memory, index, first_bucket, bounds, in_progress = self._start
        bucket = first_bucket if amount <= bounds[0] else first_bucket + bisect_left(bounds, amount)
        store, was_busy = STORE, True
        try:
            was_busy, store.busy = store.busy, True
            if was_busy or now >= store.due or not store.alive[0]:
                return False
            memory[index] += amount  # Memory that was released raises ValueError.
            memory[bucket] += 1.0
            memory[in_progress] += 1.0
            progress.life, progress.cell = store.life, self.gauge
        except ValueError:
            return False
        finally:
            if not was_busy:
                store.busy = False
        if store.pending:
            store.apply_pending()
        return True

    def _add_rest(self, amounts: Sequence[float], first: int, ended: Progress | None) -> list[int]:
        try:
            if ended is not None:
                ended.leave()
        finally:
            left = self._add_slowly(amounts, first)
        return left

    def _add_later(self, amounts: Sequence[float], ended: Progress) -> None:
        if ended.finish():
            self._report_missing(amounts, self._add_rest(amounts, 0, ended))
        elif not ended.is_inherited:
            # Called a second time, because it was interrupted.
            ended.leave()

    def _report_missing(self, amounts: Sequence[float], left: list[int] | None) -> None:
        if left:
            STORE.afterwards(partial(self._on_missing, self, amounts, left))

    def _add_slowly(self, amounts: Sequence[float], first: int) -> list[int]:
        """Add the amounts from ``first`` on; return the places of those without a cell."""
        left = []
        for place in range(first, len(amounts)):
            cell, amount = self.cells[place], amounts[place]
            if amount is UNKNOWN or cell is IGNORED:
                continue
            try:
                if cell is None:
                    left.append(place)
                elif cell.bounds is None:
                    cell.add_now(amount)
                else:
                    cell.observe_now(amount)
            except BaseException as error:
                if is_interruption(error):
                    self._report_missing(amounts, left + self._add_slowly(amounts, place + 1))
                    raise
                left.append(place)
        self._prepare()
        return left

    def _prepare(self) -> None:
        """Note where the values are, for as long as they stay there."""
        memories = [cell.memory for cell in self.cells if cell is not None and cell is not IGNORED]
        self._memory = memories[0] if memories else NOWHERE
        self._steps = [
            self._step(place, cell) for place, cell in enumerate(self.cells) if cell is not IGNORED
        ]
        self._start = self._find_start()
        self._prepare_one()

    def _find_start(self) -> Start | None:
        """Return what ``begin`` changes, if that is one histogram and a gauge in one memory."""
        gauge = self.gauge
        if gauge is None or gauge.memory is not self._memory or len(self._steps) != 1:
            return None
        _, index, first_bucket, bounds = self._steps[0]
        if index is None or bounds is None:
            return None
        return self._memory, index, first_bucket, bounds, gauge.index

    def _prepare_one(self) -> None:
        """Note the same for ``add_one``, unless the cells are others than it is for."""
        self._number = self._sum = self._first_bucket = 0
        self._bounds: Sequence[float] | None = None
        if len(self._steps) == 2:
            (_, number, _, no_bounds), (_, total, first_bucket, bounds) = self._steps
            if number is not None and total is not None and no_bounds is None:
                self._number, self._sum, self._first_bucket = number, total, first_bucket
                self._bounds = bounds

    def _step(self, place: int, cell: Cell | None) -> Step:
        if cell is None or cell.memory is not self._memory:
            return place, None, 0, None
        if isinstance(cell, NativeCell):
            return place, cell.index, 0, cell
        return place, cell.index, cell.index + 1, cell.bounds


IGNORED = Cell(None)
"""Stands for a cell that is not to be changed."""
