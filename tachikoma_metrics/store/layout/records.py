"""The records behind the header: declarations of metrics, and the values of their label sets.

Values are doubles, apart from those of blocks, which are unsigned integers of the same size.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store.layout.declarations import Declaration, Series, problem_with
from tachikoma_metrics.store.layout.format import DOUBLE, Damaged
from tachikoma_metrics.store.layout.header import HEADER_SIZE
from tachikoma_metrics.store.layout.native import Native


class Kind:
    """Kinds of records."""

    DECLARATION = 1
    SERIES = 2
    REMOVED = 3


_RECORD = struct.Struct("=4I")
_MOMENT = struct.Struct("=d")


class Record(NamedTuple):
    """Where a record is, and what it is about.

    ``at`` is its beginning in bytes, ``first`` its first value in doubles. The double before
    that value is the time at which the record was made, by ``time.monotonic()``, a clock that all
    processes of a machine share.
    """

    kind: int
    at: int
    first: int
    width: int
    subject: Declaration | Series
    end: int

    @property
    def series(self) -> Series:
        """Return the label set of the values; raise ``TypeError`` for a declaration."""
        if isinstance(self.subject, Declaration):
            raise TypeError(f"{self.subject.name} is a declaration, which has no values.")
        return self.subject


def _aligned(size: int) -> int:
    return -(-size // DOUBLE) * DOUBLE


def encode_declaration(declaration: Declaration) -> bytes:
    """Return the record of a declaration, which precedes those of its label sets.

    Raises ``ValueError`` for a metric that could not be exposed.
    """
    problem = problem_with(declaration)
    if problem:
        raise ValueError(f"A metric must {problem}; got {declaration}.")
    return _encoded(Kind.DECLARATION, _words_of(declaration), width=0, ordinal=0)


def encode_series(series: Series, ordinal: int, kind: int = Kind.SERIES) -> bytes:
    """Return the record of a label set, with its values and its time zero.

    ``ordinal`` is the place of its declaration among those of the file. The exemplars of a label
    set are of the kind ``REMOVED``.
    """
    words = words_of_series(series)
    return _encoded(kind, words, width=series.declaration.width, ordinal=ordinal)


def words_of_series(series: Series) -> bytes:
    """Return the text in the record of a label set: its values without the metric."""
    return json.dumps(series.labels).encode()


def _encoded(kind: int, words: bytes, *, width: int, ordinal: int) -> bytes:
    head = _RECORD.pack(kind, len(words), width, ordinal)
    return head + words.ljust(_aligned(len(words)), b" ") + bytes(DOUBLE + width * DOUBLE)


def record_of(subject: Declaration | Series, encoded: bytes, at: int) -> Record:
    """Return the record that ``encoded`` is, at byte ``at`` of a file."""
    kind, length, width, _ = _RECORD.unpack_from(encoded)
    index = (at + _RECORD.size + _aligned(length)) // DOUBLE + 1
    return Record(kind, at, index, width, subject, at + len(encoded))


def moment_of(content: bytes, first: int) -> float:
    """Return when the record was made whose first value is at ``first``, in doubles."""
    made_at: float = _MOMENT.unpack_from(content, (first - 1) * DOUBLE)[0]
    return made_at


NOT_COUNTED = math.inf
"""The time of a record that was initialized to zero, as long as nothing was counted in it."""

KIND_SIZE = 4
"""Bytes at the beginning of a record that are its kind."""


def pack_kind(kind: int) -> bytes:
    """Return the bytes of a record's kind."""
    return struct.pack("=I", kind)


def mark(buffer: memoryview, at: int, kind: int) -> None:
    """Change the kind of the record at ``at``."""
    buffer[at : at + KIND_SIZE] = pack_kind(kind)


def _words_of(declaration: Declaration) -> bytes:
    fields = (getattr(declaration, name) for name in Declaration.__dataclass_fields__)
    return json.dumps(list(fields)).encode()


@lru_cache(1024)
def _declaration(words: bytes) -> Declaration:
    type_, name, help_, unit, labels, bounds, mode, is_builtin, lost, native = json.loads(words)
    declaration = Declaration(
        str(type_),
        str(name),
        str(help_),
        str(unit),
        _strings(labels),
        tuple(float(bound) for bound in bounds),
        str(mode),
        bool(is_builtin),
        str(lost),
        None if native is None else Native(*map(int, native)),
    )
    problem = problem_with(declaration)
    if problem:
        raise Damaged(f"A metric must {problem}; got {words[:200]!r}.")
    return declaration


@lru_cache(16384)
def _label_values(words: bytes) -> tuple[str, ...]:
    return _strings(json.loads(words))


def _strings(values: list[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


Raw = tuple[int, bytes, int, int, int, int, int]
"""Kind, words, width, place of the declaration, beginning in bytes, first value in doubles, and end
in bytes of a record that is not decoded yet."""


def walk(buffer: bytes | memoryview, used: int) -> Iterator[Raw]:
    """Yield the records of a file that has ``used`` bytes.

    Raises ``Damaged`` at bytes that are no record; what was yielded before is one.
    """
    size = min(used, len(buffer))
    unpack = _RECORD.unpack_from
    at = HEADER_SIZE
    while at < size:
        begin = at + _RECORD.size
        if begin > size:
            raise Damaged(f"A record must begin at byte {at}; the slot ends at {size}.")
        kind, length, width, ordinal = unpack(buffer, at)
        values_at = begin + _aligned(length) + DOUBLE
        end = values_at + width * DOUBLE
        if end > size:
            raise Damaged(f"The record at byte {at} must end by byte {size}; got {end}.")
        words = bytes(buffer[begin : begin + length])
        yield kind, words, width, ordinal, at, values_at // DOUBLE, end
        at = end
    if size < used:
        raise Damaged(f"A slot must have the {used} bytes of its header; got {size}.")


def parse(buffer: bytes | memoryview, used: int) -> Iterator[Record]:
    """Yield the records of a file that has ``used`` bytes, decoded.

    Raises ``Damaged`` at bytes that are no record; what was yielded before is sound.
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
    """Return the declaration in a record; raise ``Damaged`` if there is none."""
    try:
        return _declaration(words)
    except Damaged:
        raise
    except Exception as error:
        pass_on(error)
        raise Damaged(f"A record must have readable words; got {words[:80]!r}.") from error


def read_series(kind: int, words: bytes, width: int, declared: list[Declaration]) -> Series:
    """Return the label set of a record; raise ``Damaged`` if its metric is not ``declared``."""
    try:
        series = Series(declared[0], _label_values(words))
    except Exception as error:
        pass_on(error)
        raise Damaged(f"A record must have readable words; got {words[:80]!r}.") from error
    declaration = series.declaration
    fits = width == declaration.width and len(series.labels) == len(declaration.labels)
    if kind not in (Kind.SERIES, Kind.REMOVED) or not fits:
        raise Damaged(f"A record must fit its metric {declaration.name}; got kind {kind}.")
    return series
