"""A slot as the process that writes it has it: in a file that others read, or in memory."""

from __future__ import annotations

import errno
import itertools
import mmap
import os
import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tachikoma_metrics.catalogue.labels import overflow
from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store import gauges, layout
from tachikoma_metrics.store.files import TemporaryFile
from tachikoma_metrics.store.layout import (
    DOUBLE,
    GAUGE,
    HEADER_SIZE,
    LARGEST_SIZE,
    Damaged,
    Declaration,
    Header,
    Kind,
    Record,
    Series,
)

FIRST_SIZE = 64 * 1024
"""Bytes a slot has at first; RAM-backed directories are small in containers."""


_CANNOT_SET_ASIDE = (errno.EOPNOTSUPP, errno.EINVAL)
"""What a file system says that writes instead, where the C library does not do that for it."""


class Slot(ABC):
    """Hold the records of one writer; ``memory`` shows the same bytes as doubles.

    ``memory`` is released whenever a record may have moved. Whoever remembers a place
    in it gets ``ValueError`` then, and asks for the place anew.
    """

    memory: memoryview[float]

    def __init__(self, size: int) -> None:
        self.size = size
        self._raw = memoryview(b"")
        self._words = self._raw.cast("Q")
        self.memory = _doubles(self._raw)
        self.records: dict[Series, Record] = {}
        self._ordinals: dict[Declaration, int] = {}
        self._label_sets: dict[Declaration, int] = {}
        self._removed: dict[tuple[Declaration, int], list[Record]] = {}
        self.used = HEADER_SIZE

    # --- what a slot is backed by -------------------------------------------

    @abstractmethod
    def _grow(self, size: int) -> None:
        """Make room for ``size`` bytes; raise ``OSError`` if there is none."""

    @property
    def raw(self) -> memoryview:
        """Return the bytes of the slot."""
        return self._raw

    def _show(self, raw: memoryview) -> None:
        before = (self.memory, self._words, self._raw)
        # Each item is stored by one instruction, as struct.pack_into() would not.
        self.memory, self._words, self._raw = _doubles(raw), raw.cast("Q"), raw
        for view in before:
            view.release()

    def hide(self) -> None:
        """Release all views, so that every remembered place is asked for anew."""
        self.memory.release()
        self._words.release()
        self._raw.release()

    # --- header -------------------------------------------------------------

    def header(self) -> Header:
        """Return what the slot says of itself."""
        return layout.unpack_header(self._raw)

    def set_header(self, **fields: Any) -> None:
        """Change fields of the header, each with one store."""
        for name, value in fields.items():
            words = self.memory if isinstance(value, float) else self._words
            words[layout.offset_of(name) // DOUBLE] = value

    @contextmanager
    def rewriting(self) -> Iterator[None]:
        """Have readers look again while records change what they are."""
        generation = self.header().generation
        self.set_header(generation=generation + 1 + generation % 2)
        try:
            yield
        finally:
            self.set_header(generation=self.header().generation + 1)

    # --- records ------------------------------------------------------------

    def adopt(self) -> Damaged | None:
        """Take over the records that are there; return what was wrong after the last."""
        damage = None
        self.used = HEADER_SIZE
        try:
            for record in layout.parse(self._raw, self.header().used):
                self._remember(record)
        except Damaged as error:
            damage = error
        self._publish()
        return damage

    def has_room(self, series: Series, limit: float) -> bool:
        """Tell whether a family may have ``limit`` label sets here, with this one.

        The last place is kept for the label set ``overflow``, which may be here before
        the others: it takes none of theirs.
        """
        full = Series(series.declaration, overflow(len(series.labels)))
        others = self._label_sets.get(series.declaration, 0) - (full in self.records)
        return series in self.records or others < limit - 1

    def place(self, series: Series, made_at: float | None = None) -> int:
        """Return where the values of ``series`` begin, in doubles.

        A record that is made says that it was ``made_at``, or now. Raises ``OSError`` if
        the slot should grow for it and cannot.
        """
        record = self.records.get(series) or self._add(series, made_at)
        return record.first

    def made_at(self, record: Record) -> float:
        """Return when a record was made."""
        return self.memory[record.first - 1]

    def zero(self, series: Series) -> None:
        """Set the values of ``series``, which has a place here, to zero."""
        record = self.records[series]
        self.write(record, [0.0] * record.width)

    def values(self, record: Record) -> list[float]:
        """Return the values of a record."""
        # No slice: a child forked meanwhile could not close the map for it.
        return list(struct.unpack_from(f"={record.width}d", self._raw, record.first * DOUBLE))

    def write(self, record: Record, values: Sequence[float]) -> None:
        """Replace the values of a record."""
        for index, value in enumerate(values, record.first):
            self.memory[index] = value

    def absorb(self, series: Series, values: Sequence[float]) -> None:
        """Add values of another slot to those of ``series``, which has a place here."""
        record = self.records[series]
        own = self.values(record)
        if series.declaration.type == GAUGE:
            self.write(record, gauges.absorbed(series.declaration, own, values))
        else:
            self.write(record, [mine + other for mine, other in zip(own, values, strict=True)])

    def leave_behind(self) -> None:
        """Have the gauges tell of a holder that is over; totals are continued."""
        for series, record in self.records.items():
            if series.declaration.lost:
                for place, value in gauges.handing_over(self.values(record)):
                    self.memory[record.first + place] = value
            elif series.declaration.type == GAUGE:
                mode = series.declaration.mode
                self.write(record, gauges.left_behind(mode, self.values(record)))

    def remove(self, series: Series) -> None:
        """Remove the record of ``series``, if there is one."""
        record = self.records.pop(series, None)
        if record is None:
            return
        with self.rewriting():
            layout.mark(self._raw, record.at, Kind.REMOVED)
        self._forget(record)
        # Whoever remembers the place must not write there any more.
        self.move_on()

    def move_on(self) -> None:
        """Have every remembered place be asked for anew."""
        memory, self.memory = self.memory, _doubles(self._raw)
        memory.release()

    def _add(self, series: Series, made_at: float | None) -> Record:
        encoded = layout.encode_series(series, self._ordinal(series.declaration))
        # Of the same family: who reads from the beginning has to know it by then.
        removed = self._removed.get((series.declaration, len(encoded)))
        if removed:
            return self._reuse(removed.pop(), series, encoded, made_at)
        begin = self._append(encoded)
        record = layout.record_of(series, encoded, begin)
        self._remember(record)
        self._date(record, made_at)
        self._publish()
        return record

    def _ordinal(self, declaration: Declaration) -> int:
        """Return the place of a family among those of the slot; declare it if it is new."""
        if declaration not in self._ordinals:
            encoded = layout.encode_declaration(declaration)
            self._remember(layout.record_of(declaration, encoded, self._append(encoded)))
            self._publish()
        return self._ordinals[declaration]

    def _append(self, encoded: bytes) -> int:
        end = self.used + len(encoded)
        if end > self.size:
            self._grow_for(end)
        self._raw[self.used : end] = encoded
        return self.used

    def _date(self, record: Record, made_at: float | None) -> None:
        # As late as possible: others should find records in the order of their moments.
        self.memory[record.first - 1] = time.monotonic() if made_at is None else made_at

    def _reuse(
        self, removed: Record, series: Series, encoded: bytes, made_at: float | None
    ) -> Record:
        """Write a record where one of the same size was removed."""
        record = layout.record_of(series, encoded, removed.at)
        with self.rewriting():
            # What it is comes last: a process may be killed at any line.
            rest = layout.KIND_SIZE
            self._raw[removed.at + rest : removed.end] = encoded[rest:]
            self._date(record, made_at)
            layout.mark(self._raw, removed.at, Kind.SERIES)
        self._note(record)
        return record

    def _remember(self, record: Record) -> None:
        self.used = record.end
        if isinstance(record.subject, Declaration):
            self._ordinals.setdefault(record.subject, len(self._ordinals))
        elif record.kind == Kind.REMOVED:
            self._set_aside(record)
        else:
            self._note(record)

    def _note(self, record: Record) -> None:
        series = record.series
        self.records[series] = record
        self._label_sets[series.declaration] = self._label_sets.get(series.declaration, 0) + 1

    def _forget(self, record: Record) -> None:
        self._label_sets[record.series.declaration] -= 1
        self._set_aside(record)

    def _set_aside(self, record: Record) -> None:
        key = (record.series.declaration, record.end - record.at)
        self._removed.setdefault(key, []).append(record)

    def _publish(self) -> None:
        self.set_header(used=self.used)

    def _grow_for(self, size: int) -> None:
        wanted = self.size
        while wanted < size:
            wanted *= 2
        if wanted > LARGEST_SIZE:
            raise OSError(f"A slot should have at most {LARGEST_SIZE} bytes.")
        self._grow(wanted)
        self.size = wanted


def _doubles(raw: memoryview) -> memoryview[float]:
    return raw.cast("d")


_serials = itertools.count(1)


class MemorySlot(Slot):
    """A slot that no other process reads.

    ``serial`` is another number for each, so that nobody takes one for another.
    """

    def __init__(self) -> None:
        super().__init__(FIRST_SIZE)
        self.serial = next(_serials)
        self._bytes = bytearray(FIRST_SIZE)
        self._bytes[:HEADER_SIZE] = layout.pack_header(Header(used=HEADER_SIZE))
        self._show(memoryview(self._bytes))

    @classmethod
    def holding(cls, content: bytes) -> MemorySlot:
        """Return a slot with these bytes, whose records are to be adopted."""
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
        """Tell whether there are more records that were removed than others."""
        return sum(map(len, self._removed.values())) > len(self.records)

    def compacted(self) -> MemorySlot:
        """Return another slot, without what was removed from this, which is over."""
        slot = MemorySlot()
        for series, record in self.records.items():
            slot.place(series, self.made_at(record))
            slot.write(slot.records[series], self.values(record))
        self.hide()
        return slot

    def _grow(self, size: int) -> None:
        grown = bytearray(size)
        grown[: self.used] = self._bytes[: self.used]
        self._bytes = grown
        self._show(memoryview(grown))


class FileSlot(Slot):
    """A slot in a file, which others read while this process writes it.

    ``file`` is locked, which tells others that this process lives; the slot keeps it.
    Raises ``OSError`` if the file system has no room.
    """

    def __init__(self, file: TemporaryFile, path: str, size: int) -> None:
        super().__init__(size)
        self.path = path
        self._map: mmap.mmap | None = None
        self._descriptor = file.descriptor
        # From here on, a child that is forked in another thread closes it.
        _open.add(self)
        status = os.fstat(file.descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._grow(size)
        file.keep()

    @property
    def directory(self) -> str:
        """Return the path of the directory the slot is in."""
        return os.path.dirname(self.path)

    @property
    def serial(self) -> int:
        """Return the serial number of the slot."""
        return self.header().serial

    @property
    def number(self) -> int:
        """Return the number of the slot among those of the service."""
        return int(self.path.rpartition("-")[2])

    def _grow(self, size: int) -> None:
        reserve(self._descriptor, size)
        mapped = mmap.mmap(self._descriptor, size)
        self._show(memoryview(mapped))
        if self._map is not None:
            self._map.close()
        self._map = mapped

    def is_in_place(self) -> bool:
        """Tell whether others find this slot where it was, as it was."""
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except OSError as error:
            pass_on(error)
            return False
        return (status.st_dev, status.st_ino) == self._identity and self._is_sound()

    def _is_sound(self) -> bool:
        try:
            return self.header().used == self.used
        except ValueError:
            return False

    def note_cpu(self, seconds: float) -> None:
        """Write down the CPU seconds of this process; they never fall."""
        self.set_header(cpu_seen=max(seconds, self.header().cpu_seen))

    def take_cpu_from(self, header: Header) -> None:
        """Add the CPU seconds of the slot that this process had before."""
        own = self.header()
        self.set_header(
            cpu_left=own.cpu_left + header.cpu_left, cpu_seen=max(own.cpu_seen, header.cpu_seen)
        )

    def close(self) -> None:
        """Let go of the file; the lock goes with the last process that has it.

        A forked child calls this too: a descriptor or a mapping it kept would hold its
        parent's lock after the parent's death. It must not unlock: that would unlock
        the parent.
        """
        _open.discard(self)
        self.hide()
        if self._map is not None:
            with suppress(BufferError):
                self._map.close()
            self._map = None
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1


_open: set[FileSlot] = set()
"""The slots this process has open, those in the making included."""


def close_all() -> None:
    """Let go, in a forked child, of all slots its parent had open."""
    for slot in list(_open):
        slot.close()


def reserve(descriptor: int, size: int) -> None:
    """Have the file system set ``size`` bytes aside; raise ``OSError`` if it cannot.

    A write to a mapped page that the disk has no room for would end the process with
    SIGBUS. https://man7.org/linux/man-pages/man3/posix_fallocate.3.html
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError as error:
            pass_on(error)
            if error.errno not in _CANNOT_SET_ASIDE:
                raise
    current = os.fstat(descriptor).st_size
    while current < size:
        current += os.pwrite(descriptor, bytes(size - current), current)
