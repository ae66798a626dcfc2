"""A slot in memory, which no other process reads."""

from __future__ import annotations

import itertools

from tachikoma_metrics.store import layout, system
from tachikoma_metrics.store.layout import DOUBLE, HEADER_SIZE, Header
from tachikoma_metrics.store.slot.records import FIRST_SIZE, Slot

_serials = itertools.count(1)


class MemorySlot(Slot):
    """A slot that no other process reads.

    ``serial`` is another number for each, so that readers do not confuse two of them.
    """

    def __init__(self) -> None:
        super().__init__(FIRST_SIZE)
        self.serial = next(_serials)
        self._bytes = bytearray(FIRST_SIZE)
        self._bytes[:HEADER_SIZE] = layout.pack_header(
            Header(used=HEADER_SIZE, clock_zero=system.clock_zero())
        )
        self._show(memoryview(self._bytes))

    @classmethod
    def holding(cls, content: bytes) -> MemorySlot:
        """Return a slot with these bytes; the caller is to ``adopt`` its records."""
        slot = cls()
        whole = content[: len(content) // DOUBLE * DOUBLE]
        slot.size = len(whole)
        slot._bytes = bytearray(whole)
        slot._show(memoryview(slot._bytes))
        return slot

    def copy(self) -> tuple[Header, bytes]:
        """Return the header and all bytes in use; raise ``ValueError`` if they move."""
        return self.header(), bytes(self.raw[: self.header().used])

    @property
    def is_mostly_removed(self) -> bool:
        """Return whether there are more removed records than others."""
        return sum(map(len, self._removed.values())) > len(self.records)

    def compacted(self) -> MemorySlot:
        """Return another slot, without the removed records; this one cannot be used any more."""
        slot = MemorySlot()
        for series, record in self.records.items():
            slot.place(series, self.made_at(record))
            slot.write(slot.records[series], self.values(record))
            slot.take_exemplars(series, self)
        self.release_views()
        return slot

    def _grow(self, size: int) -> None:
        grown = bytearray(size)
        grown[: self.used] = self._bytes[: self.used]
        self._bytes = grown
        self._show(memoryview(grown))
