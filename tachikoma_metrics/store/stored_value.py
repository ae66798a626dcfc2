"""What the store needs to know of a value that it assigns a place in memory."""

from __future__ import annotations

from typing import Any, Protocol

from tachikoma_metrics.store.layout import Series


class StoredValue(Protocol):
    """A value, or all values of a label set, in the memory of a file.

    ``memory`` and ``index`` are where the value is, until the store releases the memory.
    ``offset`` is the place of the first of ``width`` doubles in the record of the label set.
    """

    memory: Any
    index: int
    offset: int
    width: int

    @property
    def store(self) -> Attaching:
        """Return the store that assigns the place."""

    @property
    def owner(self) -> int:
        """Return a number that differs after a metric is made again; 0 for those that last."""

    @property
    def limit(self) -> float:
        """Return how many label sets the metric may have in one file."""

    def locate(self) -> Series | None:
        """Return the label set of the value; None if no other process is to read it."""

    def overflowed(self, series: Series) -> Series:
        """Return the label set to count under if there is no room for this one."""

    def on_full(self) -> None:
        """Handle that there was no room for the label set, which counts as ``overflow``."""

    def stay_apart(self) -> None:
        """Keep the values in private memory, from zero."""


class Attaching(Protocol):
    """A store, as the values know it."""

    def attach(self, cell: StoredValue) -> None:
        """Assign ``cell`` the place of its values. Call it only within ``STORE.change``."""
