"""One operation in progress: counted in a gauge from its beginning to its end, whatever happens.

Exceptions from outside, which signal handlers raise, appear after calls, at backward jumps and
at the beginning of functions (https://github.com/python/cpython/issues/74174). Between the
change of the gauge and the assignment of ``self.cell`` there is none of these, so ``cell`` always
says whether the operation counts.
"""

from __future__ import annotations

from tachikoma_metrics.store.stored_value import StoredValue
from tachikoma_metrics.store.writer import STORE


class Progress:
    """Note whether an operation counts as in progress, and whether it is over.

    ``cell`` is the gauge in which it counts, if it does. ``life`` is that of the process in
    which it began: a forked child that inherits it neither ends nor records it.
    """

    __slots__ = ("cell", "is_over", "life")

    def __init__(self) -> None:
        self.cell: StoredValue | None = None
        self.is_over = False
        self.life = STORE.life

    def begin(self, cell: StoredValue) -> None:
        """Count in ``cell`` from now on. Call it only within ``STORE.change``."""
        if self.is_over or self.cell is not None:
            return
        try:
            cell.memory[cell.index] += 1.0
        except ValueError:
            cell.store.attach(cell)
            cell.memory[cell.index] += 1.0
        self.life, self.cell = STORE.life, cell

    def leave(self) -> None:
        """Count in no gauge any more. Call it only within ``STORE.change``."""
        cell = self.cell
        if cell is None:
            return
        try:
            cell.memory[cell.index] -= 1.0
        except ValueError:
            cell.store.attach(cell)
            cell.memory[cell.index] -= 1.0
        self.cell = None

    @property
    def is_inherited(self) -> bool:
        """Return whether this process was forked from the one in which it began."""
        return self.life != STORE.life

    def finish(self) -> bool:
        """End; return whether it was in progress, and may be recorded.

        Call it only within ``STORE.change``.
        """
        if self.is_over or self.is_inherited:
            return False
        self.is_over = True
        return True

    def abandon(self) -> None:
        """End without a record. Call it only within ``STORE.change``."""
        if not self.is_inherited:
            self.leave()
            self.is_over = True

    def abandon_later(self) -> None:
        """End without a record, by the next change. Called while anything may be under way."""
        if not self.is_over:
            # Behind its beginning, which may be queued, too.
            STORE.pending.append((self.abandon, ()))
