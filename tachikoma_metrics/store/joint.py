"""Cells that change together: the families that one event changes."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tachikoma_metrics.store.cells import NOWHERE, Cell
from tachikoma_metrics.store.exclusion import one_at_a_time
from tachikoma_metrics.store.writer import STORE

UNKNOWN = float("nan")
"""Stands for an amount that nobody knows, and is told by its identity."""

Step = tuple[int, "int | None", int, "Sequence[float] | None"]
"""The place of an amount, the index of its value if there is one here, and the index and
the bounds of the buckets it is counted in."""


class Joint:
    """Change several cells in one change, each by an amount of its own.

    Amounts are finite numbers of at least zero. ``when_left`` is called with the joint,
    the amounts and the places of those that were not added, for there is no cell.
    """

    __slots__ = ("_memory", "_steps", "_when_left", "cells")

    def __init__(
        self,
        cells: list[Cell | None],
        when_left: Callable[[Joint, Sequence[float], list[int]], None],
    ) -> None:
        self.cells = cells
        self._when_left = when_left
        self._memory: Any = NOWHERE
        self._steps: list[Step] = []
        self._prepare()

    @one_at_a_time
    def add(self, amounts: Sequence[float], now: float, ended: Cell | None = None) -> None:
        """Add each amount to the cell in its place; ``UNKNOWN`` adds nothing.

        ``now`` is the time of ``perf_counter``, ``ended`` the gauge of what was in progress,
        which becomes one less.
        """
        store = STORE
        left = None
        place = 0
        was_busy = True
        try:
            was_busy, store.busy = store.busy, True
            if was_busy:
                store.waiting.append((self._add_later, (amounts, ended)))
            else:
                if now >= store.due or not store.alive[0]:
                    store.tend(now)
                if ended is not None:
                    try:
                        ended.memory[ended.index] -= 1.0
                    except ValueError:
                        ended.add_at_once(-1)
                memory = self._memory
                for place, index, first_bucket, bounds in self._steps:
                    amount = amounts[place]
                    if amount is not UNKNOWN:
                        memory[index] += amount  # None is no index, and leads to the slow way.
                        if bounds is not None:
                            memory[first_bucket + bisect_left(bounds, amount)] += 1.0
        except (IndexError, TypeError, ValueError):
            left = self._add_slowly(amounts, place)
        finally:
            if not was_busy:
                store.busy = False
        if store.waiting:
            store.settle()
        if left:
            self._when_left(self, amounts, left)

    def _add_later(self, amounts: Sequence[float], ended: Cell | None) -> None:
        if ended is not None:
            ended.add_at_once(-1)
        left = self._add_slowly(amounts, 0)
        if left:
            STORE.afterwards(partial(self._when_left, self, amounts, left))

    def _add_slowly(self, amounts: Sequence[float], first: int) -> list[int]:
        """Add the amounts from ``first`` on; return the places of those that are left."""
        left = []
        for place in range(first, len(amounts)):
            cell, amount = self.cells[place], amounts[place]
            if amount is UNKNOWN or cell is IGNORED:
                continue
            try:
                if cell is None:
                    left.append(place)
                elif cell.bounds is None:
                    cell.add_at_once(amount)
                else:
                    cell.observe_at_once(amount)
            except Exception:
                left.append(place)
        self._prepare()
        return left

    def _prepare(self) -> None:
        """Find out once where the values are, for as long as they stay there."""
        memories = [cell.memory for cell in self.cells if cell is not None and cell is not IGNORED]
        self._memory = memories[0] if memories else NOWHERE
        self._steps = [
            self._step(place, cell) for place, cell in enumerate(self.cells) if cell is not IGNORED
        ]

    def _step(self, place: int, cell: Cell | None) -> Step:
        if cell is None or cell.memory is not self._memory:
            return place, None, 0, None
        return place, cell.index, cell.index + 1, cell.bounds


IGNORED = Cell(None)
"""Stands for a cell that is not to be changed."""
