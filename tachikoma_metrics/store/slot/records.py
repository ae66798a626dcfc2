"""The records of one process, wherever their bytes are."""

from __future__ import annotations

import struct
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tachikoma_metrics.catalogue.labels import overflow
from tachikoma_metrics.store import gauges, layout
from tachikoma_metrics.store.layout import (
    BLOCK,
    DOUBLE,
    GAUGE,
    HEADER_SIZE,
    LARGEST_SIZE,
    NOT_COUNTED,
    Damaged,
    Declaration,
    Header,
    Kind,
    Record,
    Series,
)

FIRST_SIZE = 64 * 1024
"""Bytes of a new file; RAM-backed directories are small in containers."""


class Slot(ABC):
    """Hold the records of one writer; ``memory`` shows the same bytes as doubles.

    ``memory`` is released whenever a record may have moved. A cell that remembers a place in it
    gets ``ValueError`` then, and asks the store for its place again.
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
        self._blocks: dict[Series, list[Series]] = {}
        self._not_counted: dict[Declaration, set[Series]] = {}
        self._removed: dict[tuple[Declaration, int], list[Record]] = {}
        self._exemplars: dict[Series, Record] = {}
        self.used = HEADER_SIZE

    # --- memory -------------------------------------------------------------

    @abstractmethod
    def _grow(self, size: int) -> None:
        """Make room for ``size`` bytes; raise ``OSError`` if there is none."""

    @property
    def words(self) -> memoryview[int]:
        """Return the same bytes as ``memory``, as integers; released with it, or later."""
        return self._words

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

    def release_views(self) -> None:
        """Release all views, so that no remembered place can be used."""
        self.memory.release()
        self._words.release()
        self._raw.release()

    # --- header -------------------------------------------------------------

    def header(self) -> Header:
        """Return the header."""
        return layout.unpack_header(self._raw)

    def set_header(self, **fields: Any) -> None:
        """Change fields of the header, each with one memory write."""
        for name, value in fields.items():
            words = self.memory if isinstance(value, float) else self._words
            words[layout.offset_of(name) // DOUBLE] = value

    @contextmanager
    def rewriting(self) -> Iterator[None]:
        """Make readers read again, because records are changed to others."""
        generation = self.header().generation
        self.set_header(generation=generation + 1 + generation % 2)
        try:
            yield
        finally:
            self.set_header(generation=self.header().generation + 1)

    # --- records ------------------------------------------------------------

    def adopt(self) -> Damaged | None:
        """Take over the existing records; return what is wrong after the last one."""
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
        """Return whether this label set is within the ``limit`` of its metric.

        The last place is reserved for the label set ``overflow``, which may be made before the
        others. Records in which nothing was counted take no place.
        """
        not_counted = self._not_counted.get(series.declaration, ())
        full = Series(series.declaration, overflow(len(series.labels)))
        others = self._label_sets.get(series.declaration, 0) - (full in self.records)
        is_counted = series in self.records and series not in not_counted
        return is_counted or others - len(not_counted) < limit - 1

    def has_room_for_zero(self, declaration: Declaration, limit: float) -> bool:
        """Return whether a record in which nothing is counted yet is within the limit, too."""
        return self._label_sets.get(declaration, 0) < limit - 1

    def place(self, series: Series, made_at: float | None = None) -> int:
        """Return where the values of ``series`` begin, in doubles.

        A record that is missing is made, with the time ``made_at``, or now; with ``NOT_COUNTED``
        it is initialized to zero, and gets its time when it is placed again to be counted in.
        Raises ``OSError`` if the slot cannot grow for it.
        """
        record = self.records.get(series) or self._add(series, made_at)
        if made_at != NOT_COUNTED and series in self._not_counted.get(series.declaration, ()):
            with self.rewriting():
                self._set_time(record, made_at)
        return record.first

    def made_at(self, record: Record) -> float:
        """Return when a record was made."""
        return self.memory[record.first - 1]

    def zero(self, series: Series) -> None:
        """Set the values of ``series``, which has a record here, to zero."""
        for one in self.with_blocks(series):
            record = self.records[one]
            self.write(record, [0] * record.width)

    def with_blocks(self, series: Series) -> list[Series]:
        """Return a label set and its blocks of native buckets that have records here."""
        return [series, *self._blocks.get(series, ())]

    def values(self, record: Record) -> list[float]:
        """Return the values of a record."""
        # No slice: with one, a child that is forked meanwhile could not close the map.
        kind = "Q" if record.series.declaration.type == BLOCK else "d"
        return list(struct.unpack_from(f"={record.width}{kind}", self._raw, record.first * DOUBLE))

    def content(self, record: Record) -> bytes:
        """Return the bytes of the values of a record."""
        # No slice, for the same reason.
        size = record.width * DOUBLE
        found: bytes = struct.unpack_from(f"={size}s", self._raw, record.first * DOUBLE)[0]
        return found

    def write(self, record: Record, values: Sequence[float]) -> None:
        """Replace the values of a record."""
        is_block = record.series.declaration.type == BLOCK
        memory: Any = self._words if is_block else self.memory
        for index, value in enumerate(values, record.first):
            memory[index] = value

    def absorb(self, series: Series, values: Sequence[float]) -> None:
        """Add values of another slot to those of ``series``, which has a record here."""
        record = self.records[series]
        own = self.values(record)
        if series.declaration.type == GAUGE:
            self.write(record, gauges.absorbed(series.declaration, own, values))
        else:
            self.write(record, [mine + other for mine, other in zip(own, values, strict=True)])

    # --- exemplars ----------------------------------------------------------

    def put_exemplar(self, series: Series, place: int, cell: bytes) -> None:
        """Replace the exemplar at ``place``, that of a bucket, of ``series``.

        Raises ``OSError`` if the slot cannot grow for it.
        """
        record = self._exemplars_of(series, len(cell))
        begin = record.first * DOUBLE + place * len(cell)
        self._raw[begin : begin + len(cell)] = cell

    def take_exemplars(self, series: Series, source: Slot) -> None:
        """Take over the exemplars of ``series``, which has a record here.

        Raises ``OSError`` if the slot cannot grow for them.
        """
        for size in layout.CELL_SIZES:
            record = source._exemplars.get(_held(series, size))
            if record is not None:
                own = self._exemplars_of(series, size)
                begin = own.first * DOUBLE
                content = source.content(record)
                self._raw[begin : begin + len(content)] = content

    def _exemplars_of(self, series: Series, size: int) -> Record:
        held = _held(series, size)
        record = self._exemplars.get(held)
        if record is None:
            encoded = layout.encode_series(held, self._ordinal(held.declaration), Kind.REMOVED)
            unused = self._removed.get((held.declaration, len(encoded)))
            if unused:
                begin = unused.pop().at
                with self.rewriting():
                    self._raw[begin : begin + len(encoded)] = encoded
            else:
                begin = self._append(encoded)
                self.used = begin + len(encoded)
                self._publish()
            record = layout.record_of(held, encoded, begin)
            self._exemplars[held] = record
        return record

    def _remove_exemplars(self, series: Series) -> None:
        for size in layout.CELL_SIZES:
            record = self._exemplars.pop(_held(series, size), None)
            if record is not None:
                self.write(record, [0.0] * record.width)
                self._set_aside(record)

    # --- records of former holders ------------------------------------------

    def leave_behind(self) -> None:
        """Turn the gauges into what the former holder leaves behind; totals are continued."""
        for series, record in self.records.items():
            if series.declaration.lost:
                for place, value in gauges.steps_to_count_as_lost(self.values(record)):
                    self.memory[record.first + place] = value
            elif series.declaration.type == GAUGE:
                mode = series.declaration.mode
                self.write(record, gauges.left_behind(mode, self.values(record)))

    def remove(self, series: Series) -> None:
        """Remove the record of ``series``, if there is one."""
        record = self.records.pop(series, None)
        if record is None:
            return
        if self._exemplars:
            self._remove_exemplars(series)
        with self.rewriting():
            layout.mark(self._raw, record.at, Kind.REMOVED)
        self._forget(record)
        # A cell that remembers the place must not write there any more.
        self.invalidate()

    def invalidate(self) -> None:
        """Make every cell ask for its place again."""
        memory, self.memory = self.memory, _doubles(self._raw)
        memory.release()

    def _add(self, series: Series, made_at: float | None) -> Record:
        encoded = layout.encode_series(series, self._ordinal(series.declaration))
        # Of the same metric: a reader has to have read the declaration before.
        removed = self._removed.get((series.declaration, len(encoded)))
        if removed:
            return self._reuse(removed.pop(), series, encoded, made_at)
        begin = self._append(encoded)
        record = layout.record_of(series, encoded, begin)
        self._remember(record)
        self._set_time(record, made_at)
        self._publish()
        return record

    def _ordinal(self, declaration: Declaration) -> int:
        """Return the place of a declaration among those of the slot; append it if it is new."""
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

    def _set_time(self, record: Record, made_at: float | None) -> None:
        # As late as possible, so that readers find records in the order of their times.
        self.memory[record.first - 1] = time.monotonic() if made_at is None else made_at
        self._note_time(record)

    def _reuse(
        self, removed: Record, series: Series, encoded: bytes, made_at: float | None
    ) -> Record:
        """Write a record where one of the same size was removed."""
        record = layout.record_of(series, encoded, removed.at)
        with self.rewriting():
            # Its kind is written last: a process may be killed at any line.
            rest = layout.KIND_SIZE
            self._raw[removed.at + rest : removed.end] = encoded[rest:]
            self._set_time(record, made_at)
            layout.mark(self._raw, removed.at, Kind.SERIES)
        self._note(record)
        return record

    def _remember(self, record: Record) -> None:
        self.used = record.end
        if isinstance(record.subject, Declaration):
            self._ordinals.setdefault(record.subject, len(self._ordinals))
        elif record.kind == Kind.REMOVED:
            is_of_exemplars = layout.subject_of(record.series.declaration) is not None
            if is_of_exemplars and any(self.content(record)):
                self._exemplars[record.series] = record
            else:
                self._set_aside(record)
        else:
            self._note(record)

    def _note(self, record: Record) -> None:
        series = record.series
        self.records[series] = record
        self._label_sets[series.declaration] = self._label_sets.get(series.declaration, 0) + 1
        if series.declaration.type == BLOCK:
            self._blocks.setdefault(series.whole, []).append(series)
        self._note_time(record)

    def _note_time(self, record: Record) -> None:
        series = record.series
        not_counted = self._not_counted.setdefault(series.declaration, set())
        if self.made_at(record) == NOT_COUNTED:
            not_counted.add(series)
        else:
            not_counted.discard(series)

    def _forget(self, record: Record) -> None:
        declaration = record.series.declaration
        self._label_sets[declaration] -= 1
        if declaration.type == BLOCK:
            self._blocks[record.series.whole].remove(record.series)
        self._not_counted.get(declaration, set()).discard(record.series)
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
            raise OSError(f"A slot must have at most {LARGEST_SIZE} bytes.")
        self._grow(wanted)
        self.size = wanted


def _doubles(raw: memoryview) -> memoryview[float]:
    return raw.cast("d")


def _held(series: Series, size: int) -> Series:
    return Series(layout.holder_of(series.declaration, size), series.labels)
