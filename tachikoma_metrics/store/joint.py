"""Cells that change together: the families that one event changes."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tachikoma_metrics.store.cells import NOWHERE, Cell
from tachikoma_metrics.store.layout import SCRATCH_AT
from tachikoma_metrics.store.writer import STORE

UNKNOWN = float("nan")
"""Stands for an amount that nobody knows, and is told by its identity."""

_INFINITY = math.inf

Step = tuple[int, "Sequence[float] | None"]
"""The index of a value, and the bounds of the buckets that follow it."""


class Joint:
    """Change several cells under one lock, each by an amount of its own.

    ``when_left`` is called with the joint, the amounts and the places of those that were
    not added: there is no cell in that place, or the amount is no finite number of at
    least zero.
    """

    __slots__ = ("_memory", "_steps", "_when_left", "cells")

    def __init__(
        self, size: int, when_left: Callable[[Joint, Sequence[float], list[int]], None]
    ) -> None:
        self.cells: list[Cell | None] = [None] * size
        self._when_left = when_left
        self._memory: Any = NOWHERE
        self._steps: list[Step | None] = [None] * size

    def add(self, amounts: Sequence[float], now: float, ended: Cell | None = None) -> None:
        """Add each amount to the cell in its place; ``UNKNOWN`` adds nothing.

        ``now`` is the time of ``perf_counter``, ``ended`` the gauge of what was in progress,
        which becomes one less.
        """
        store = STORE
        if store.busy:
            store.defer(self._add_later, amounts, ended)
            return
        with store.lock:
            store.busy = True
            try:
                if now >= store.due or not store.alive[0]:
                    store.tend(now)
                left = self._add(amounts, ended)
            finally:
                store.busy = False
        if store.waiting:
            store.settle()
        if left:
            self._when_left(self, amounts, left)

    def _add_later(self, amounts: Sequence[float], ended: Cell | None) -> None:
        left = self._add(amounts, ended)
        if left:
            STORE.afterwards(partial(self._when_left, self, amounts, left))

    def _add(self, amounts: Sequence[float], ended: Cell | None) -> list[int] | None:
        if ended is not None:
            try:
                ended.memory[ended.index] -= 1
            except ValueError:
                ended.add_at_once(-1)
        memory = self._memory
        place = 0
        try:
            for step, amount in zip(self._steps, amounts):  # noqa: B905  # That costs a third more.
                if 0 <= amount < _INFINITY:
                    index, bounds = step  # type: ignore[misc]  # None leads to the slow way.
                    memory[index] += amount
                    if bounds is not None:
                        memory[index + 1 + bisect_left(bounds, amount)] += 1
                elif amount is not UNKNOWN:
                    return self._add_slowly(amounts, place)
                place += 1  # Counting here costs less than enumerate().
        except Exception:
            return self._add_slowly(amounts, place)
        return None

    def _add_slowly(self, amounts: Sequence[float], first: int) -> list[int]:
        """Add the amounts from ``first`` on; return the places of those that are left."""
        left = []
        for place in range(first, len(amounts)):
            cell, amount = self.cells[place], amounts[place]
            if amount is UNKNOWN or cell is IGNORED:
                continue
            try:
                if cell is None or not 0 <= amount < _INFINITY:
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
        self._steps = [self._step(cell) for cell in self.cells]

    def _step(self, cell: Cell | None) -> Step | None:
        if cell is IGNORED:
            return SCRATCH_AT, None
        if cell is None or cell.memory is not self._memory:
            return None
        return cell.index, cell.bounds


IGNORED = Cell(None)
"""Stands for a cell that is not to be changed."""
