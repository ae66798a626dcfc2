"""Which record has the values of each label set: in the process's file, or in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from functools import partial
from typing import NamedTuple

from tachikoma_metrics.catalogue.labels import MOST_OVERFLOWED, overflow
from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store.directory import SECONDS_TO_WAIT, Directory
from tachikoma_metrics.store.layout import NOT_COUNTED, Series
from tachikoma_metrics.store.slot import FileSlot, MemorySlot, Slot
from tachikoma_metrics.store.stored_value import StoredValue
from tachikoma_metrics.store.writer.attempts import Attempts
from tachikoma_metrics.store.writer.changes import Changes


class Block(NamedTuple):
    """Where the counts of adjacent native buckets are.

    ``is_beside`` says whether the other values of the label set are in the same memory.
    """

    words: memoryview[int]
    first: int
    is_beside: bool


class Allocator:
    """Find, make and remove the records of this process.

    ``slot`` is the memory-mapped file, ``annex`` holds the series that did not fit into it,
    ``moves`` counts the records that moved from one to another. Whatever appends to ``dropped``
    has the next change remove that label set, if it still has that owner.
    """

    def __init__(self, changes: Changes, attempts: Attempts) -> None:
        self.slot: FileSlot | None = None
        self.annex = MemorySlot()
        self.moves = 0
        self.dropped: deque[tuple[Series, int]] = deque()
        self._changes = changes
        self._attempts = attempts
        self._owners: dict[Series, int] = {}

    # --- places -------------------------------------------------------------

    def place(self, cell: StoredValue, series: Series) -> tuple[memoryview[float], int]:
        """Return the memory and the index of a series' record, or of its overflow's."""
        kept = self._fitting(cell, series)
        if series != kept:
            self._changes.afterwards(cell.on_full)
        series = kept
        home = self._home_of(series)
        index = home.place(series)
        before = self._owners.get(series, cell.owner)
        self._owners[series] = cell.owner
        if before != cell.owner:
            # Another metric of this name was made in the place of that one, which may
            # still be counted with, elsewhere.
            home.zero(series)
            home.invalidate()
        return home.memory, index

    def place_block(self, cell: StoredValue, series: Series, key: object) -> Block:
        """Return where a block of the native buckets of a cell is, whose other values have a place.

        Records may have moved afterwards.
        """
        whole = self._fitting(cell, series)
        block = Series(whole.declaration.blocks, (*whole.labels, str(key)))
        home = self._home_of(block)
        return Block(home.words, home.place(block), home.memory is cell.memory)

    def initialize(self, wanted: Collection[Series], limit: float) -> None:
        """Make the records of label sets at zero, as far as others leave room for them."""
        for series in wanted:
            slot = self.slot or self.annex
            if series not in slot.records and slot.has_room_for_zero(series.declaration, limit):
                self._home_of(series, NOT_COUNTED)

    def _fitting(self, cell: StoredValue, series: Series) -> Series:
        """Return the label set to count under, which is another if the metric is full."""
        slot = self.slot or self.annex
        if slot.has_room(series, cell.limit):
            return series
        kept = cell.overflowed(series)
        if slot.has_room(kept, cell.limit + MOST_OVERFLOWED):
            return kept
        return Series(series.declaration, overflow(len(series.labels)))

    def _home_of(self, series: Series, made_at: float | None = None) -> Slot:
        slot = self.slot
        if slot is not None and (series in slot.records or self._attempts.is_due):
            try:
                slot.place(series, made_at)
                return slot
            except OSError as error:
                pass_on(error)
                self._attempts.fail(error, slot.path)
        self.annex.place(series, made_at)
        return self.annex

    def find(self, cell: StoredValue) -> list[float] | None:
        """Return the values of ``cell`` if it has a record, without making one."""
        series = cell.locate()
        if series is not None and self._owners.get(series, cell.owner) != cell.owner:
            # The record is still that of a metric in whose place this one was made.
            return None
        for home in (self.slot, self.annex):
            if home is not None and series in home.records:
                values = home.values(home.records[series])
                return values[cell.offset : cell.offset + cell.width]
        return None

    def owned(self) -> list[tuple[Series, int]]:
        """Return the label sets of metrics that were made in this process, with the owners."""
        return [(series, owner) for series, owner in self._owners.copy().items() if owner]

    # --- exemplars ----------------------------------------------------------

    def put_exemplar(self, series: Series, place: int, cell: bytes) -> None:
        """Replace the exemplar of a bucket, where the values of ``series`` are.

        A label set without values has none, and a file that is full gets no further ones.
        """
        if self.slot is None or series not in self.slot.records:
            if series in self.annex.records:
                self.annex.put_exemplar(series, place, cell)
        elif self._attempts.is_due:
            try:
                self.slot.put_exemplar(series, place, cell)
            except OSError as error:
                pass_on(error)
                self._attempts.fail(error, self.slot.path)

    # --- removals -----------------------------------------------------------

    def remove(self, removed: Collection[Series]) -> None:
        """Remove the values of this process, and those of processes that are over."""
        for series in removed:
            self._owners.pop(series, None)
            for home in filter(None, (self.annex, self.slot)):
                for one in home.with_blocks(series):
                    home.remove(one)
        if removed and self.annex.is_mostly_removed:
            self.annex = self.annex.compacted()
        if self.slot is not None and removed:
            directory = Directory(self.slot.directory)
            call = partial(directory.remove, frozenset(removed), SECONDS_TO_WAIT)
            self._changes.afterwards(call)

    def remove_dropped(self) -> None:
        """Remove the label sets that were dropped, unless another owner has them now."""
        removed = []
        while self.dropped:
            series, owner = self.dropped.popleft()
            if self._owners.get(series) == owner:
                removed.append(series)
        self.remove(removed)

    # --- another file -------------------------------------------------------

    def take_from_annex(self) -> None:
        """Move what is in memory to the file, which was claimed just now."""
        self._owners.clear()
        self.take_from(self.annex)

    def take_from(self, source: Slot) -> None:
        """Add the values of ``source`` to those of the file, as far as there is room."""
        for series, record in list(source.records.items()):
            # Other processes can read what was in memory from now on, so it is made now; what
            # they could read before was made earlier.
            made_at: float | None = source.made_at(record)
            is_known = source is not self.annex or made_at == NOT_COUNTED
            home = self._home_of(series, made_at if is_known else None)
            if home is not source:
                self.moves += 1
                home.absorb(series, source.values(record))
                with suppress(OSError):
                    home.take_exemplars(series, source)
                source.remove(series)

    def renew(self) -> None:
        """Start from zero in a forked child."""
        self.dropped.clear()
        self._owners.clear()
        annex = self.annex
        self.slot, self.annex = None, MemorySlot()
        annex.release_views()
