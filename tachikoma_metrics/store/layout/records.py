"""The records behind the header: declarations of metrics, and the values of their label sets."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store.layout.declarations import Declaration, Series, problem_with
from tachikoma_metrics.store.layout.format import DOUBLE, Damaged
from tachikoma_metrics.store.layout.header import HEADER_SIZE


class Kind:
    """What a record is."""

    DECLARATION = 1
    SERIES = 2
    REMOVED = 3


_RECORD = struct.Struct("=4I")
_MOMENT = struct.Struct("=d")


class Record(NamedTuple):
    """Where one record is, and what it is about.

    ``at`` is its beginning in bytes, ``first`` its first value in doubles. The double
    before that one is the moment at which it was made, by ``time.monotonic()``: the
    processes of a machine have that clock in common.
    """

    kind: int
    at: int
    first: int
    width: int
    subject: Declaration | Series
    end: int

    @property
    def series(self) -> Series:
        """Return the label set whose values these are; raise ``TypeError`` for a metric."""
        if isinstance(self.subject, Declaration):
            raise TypeError(f"{self.subject.name} has no values of its own.")
        return self.subject


def _aligned(size: int) -> int:
    return -(-size // DOUBLE) * DOUBLE


def encode_declaration(declaration: Declaration) -> bytes:
    """Return the record of a metric, which stands before those of its label sets.

    Raises ``ValueError`` for a metric that no page could show.
    """
    problem = problem_with(declaration)
    if problem:
        raise ValueError(f"A family should {problem}; got {declaration}.")
    return _encoded(Kind.DECLARATION, _words_of(declaration), width=0, ordinal=0)


def encode_series(series: Series, ordinal: int) -> bytes:
    """Return the record of a label set, its values and its moment zero.

    ``ordinal`` is the place of its metric among the file's metrics.
    """
    words = words_of_series(series)
    return _encoded(Kind.SERIES, words, width=series.declaration.width, ordinal=ordinal)


def words_of_series(series: Series) -> bytes:
    """Return what the record of a label set says of it, apart from its metric."""
    return json.dumps(series.labels).encode()


def _encoded(kind: int, words: bytes, *, width: int, ordinal: int) -> bytes:
    head = _RECORD.pack(kind, len(words), width, ordinal)
    return head + words.ljust(_aligned(len(words)), b" ") + bytes(DOUBLE + width * DOUBLE)


def record_of(subject: Declaration | Series, encoded: bytes, at: int) -> Record:
    """Return what ``encoded``, at byte ``at`` of a file, is."""
    kind, length, width, _ = _RECORD.unpack_from(encoded)
    index = (at + _RECORD.size + _aligned(length)) // DOUBLE + 1
    return Record(kind, at, index, width, subject, at + len(encoded))


def moment_of(content: bytes, first: int) -> float:
    """Return when the record was made whose first value is at ``first``, in doubles."""
    made_at: float = _MOMENT.unpack_from(content, (first - 1) * DOUBLE)[0]
    return made_at


KIND_SIZE = 4
"""Bytes at the beginning of a record that say what it is."""


def pack_kind(kind: int) -> bytes:
    """Return the bytes that say, at the beginning of a record, what it is."""
    return struct.pack("=I", kind)


def mark(buffer: memoryview, at: int, kind: int) -> None:
    """Change what the record at ``at`` is."""
    buffer[at : at + KIND_SIZE] = pack_kind(kind)


def _words_of(declaration: Declaration) -> bytes:
    fields = (getattr(declaration, name) for name in Declaration.__dataclass_fields__)
    return json.dumps(list(fields)).encode()


@lru_cache(1024)
def _declaration(words: bytes) -> Declaration:
    type_, name, help_, unit, labels, bounds, mode, is_ours, lost = json.loads(words)
    declaration = Declaration(
        str(type_),
        str(name),
        str(help_),
        str(unit),
        _strings(labels),
        tuple(float(bound) for bound in bounds),
        str(mode),
        bool(is_ours),
        str(lost),
    )
    problem = problem_with(declaration)
    if problem:
        raise Damaged(f"A family should {problem}; got {words[:200]!r}.")
    return declaration


@lru_cache(16384)
def _label_values(words: bytes) -> tuple[str, ...]:
    return _strings(json.loads(words))


def _strings(values: list[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


Raw = tuple[int, bytes, int, int, int, int, int]
"""Kind, words, width, place of the metric, beginning in bytes, first value in doubles, and
end in bytes of a record that nobody has understood yet."""


def walk(buffer: bytes | memoryview, used: int) -> Iterator[Raw]:
    """Yield the records of a file that has ``used`` bytes.

    Raises ``Damaged`` where there is no record; what was yielded before is one.
    """
    size = min(used, len(buffer))
    unpack = _RECORD.unpack_from
    at = HEADER_SIZE
    while at < size:
        begin = at + _RECORD.size
        if begin > size:
            raise Damaged(f"A record should begin at byte {at}; the slot ends at {size}.")
        kind, length, width, ordinal = unpack(buffer, at)
        values_at = begin + _aligned(length) + DOUBLE
        end = values_at + width * DOUBLE
        if end > size:
            raise Damaged(f"The record at byte {at} should end by byte {size}; got {end}.")
        words = bytes(buffer[begin : begin + length])
        yield kind, words, width, ordinal, at, values_at // DOUBLE, end
        at = end
    if size < used:
        raise Damaged(f"A slot should have the {used} bytes it says; got {size}.")


def parse(buffer: bytes | memoryview, used: int) -> Iterator[Record]:
    """Yield the records of a file that has ``used`` bytes, understood.

    Raises ``Damaged`` where the bytes are no record; what was yielded before is sound.
    """
    declarations: list[Declaration] = []
    for kind, words, width, ordinal, at, first, end in walk(buffer, used):
        subject: Declaration | Series
        if kind == Kind.DECLARATION:
            subject = read_declaration(words)
            declarations.append(subject)
        else:
            subject = read_series(kind, words, width, declarations[ordinal : ordinal + 1])
        yield Record(kind, at, first, width, subject, end)


def read_declaration(words: bytes) -> Declaration:
    """Return the metric a record declares; raise ``Damaged`` if it declares none."""
    try:
        return _declaration(words)
    except Damaged:
        raise
    except Exception as error:
        pass_on(error)
        raise Damaged(f"A record should have readable words; got {words[:80]!r}.") from error


def read_series(kind: int, words: bytes, width: int, family: list[Declaration]) -> Series:
    """Return the label set a record is about; raise ``Damaged`` if it is not of ``family``."""
    try:
        series = Series(family[0], _label_values(words))
    except Exception as error:
        pass_on(error)
        raise Damaged(f"A record should have readable words; got {words[:80]!r}.") from error
    declaration = series.declaration
    fits = width == declaration.width and len(series.labels) == len(declaration.labels)
    if kind not in (Kind.SERIES, Kind.REMOVED) or not fits:
        raise Damaged(f"A record should fit its family {declaration.name}; got kind {kind}.")
    return series
