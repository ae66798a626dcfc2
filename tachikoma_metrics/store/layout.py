"""The bytes of a slot: a header, then records, each a few words and some doubles.

Everything is aligned to eight bytes and in the byte order of the machine, so that a
value is one double that one process stores and every other reads whole. A record is
complete before the header counts it in, and never moves, except under an odd
generation (as in a seqlock: https://www.kernel.org/doc/html/latest/locking/seqlock.html).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from tachikoma_metrics.interruptions import pass_on

MAGIC = b"tmslot\x00\x03"
"""What a slot begins with: its name, and the version of this layout."""

LAYOUT_VERSION = MAGIC[-1]

DOUBLE = 8

LARGEST_SIZE = 1 << 30
"""Bytes a slot may have."""

COUNTER, GAUGE, HISTOGRAM, SUMMARY = "counter", "gauge", "histogram", "summary"

LIVESUM_OF_SET = "livesum-of-set"
"""A mode of our own: the sum over the living that gave it a value, and none if none did."""

MODES = frozenset(
    {
        "",
        *("all", "min", "max", "sum", "mostrecent"),
        *("liveall", "livemin", "livemax", "livesum", "livemostrecent"),
        LIVESUM_OF_SET,
    }
)
"""How the gauges of several processes may become one (see ``gauges``)."""

# Of a gauge's record.
VALUE, SET_AT, WAS_CHANGED, LEFT_VALUE, LEFT_SET_AT = range(5)
GAUGE_WIDTH = 5


class Damaged(ValueError):
    """Raised for bytes that are no slot, or no slot any more."""


class OtherLayout(Damaged):
    """Raised for a slot of another version of this layout, as another release writes it."""


@dataclass(frozen=True)
class Declaration:
    """Tell a family from all others, and how the values of processes become one.

    ``name`` is prometheus_client's: a counter's is without ``_total``. ``bounds`` are
    a histogram's upper bounds with ``+Inf``; ``mode`` is a gauge's multi-process mode
    or "" (see ``merge``). ``is_ours`` keeps a family of the catalogue apart from one
    of the project's with the same name. ``lost`` is the name of the counter to which a
    gauge's value is added when its process dies, or "".
    """

    type: str
    name: str
    help: str = field(default="", compare=False)
    unit: str = field(default="", compare=False)
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    mode: str = ""
    is_ours: bool = False
    lost: str = ""

    @cached_property
    def counter_of_lost(self) -> Declaration:
        """Return the counter that ``lost`` names."""
        return Declaration(COUNTER, self.lost, labels=self.labels, is_ours=self.is_ours)

    @cached_property
    def width(self) -> int:
        """Return the number of doubles in the record of a label set.

        A counter has its total, a summary its count and sum, a histogram its sum and
        the count of each bucket alone.
        """
        widths = {COUNTER: 1, SUMMARY: 2, GAUGE: GAUGE_WIDTH, HISTOGRAM: 1 + len(self.bounds)}
        return widths[self.type]

    @cached_property
    def _hash(self) -> int:
        return hash((self.type, self.name, self.labels, self.mode, self.is_ours))

    def __hash__(self) -> int:
        return self._hash


class Series(NamedTuple):
    """Name one label set of a family."""

    declaration: Declaration
    labels: tuple[str, ...]


class Header(NamedTuple):
    """What a slot says of itself and of the process that holds it.

    ``started`` and ``parent_started`` are in clock ticks since the machine started
    (field 22 of https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html); the
    parent is 0 unless it is a server that outlives its workers. ``cpu_left`` are the
    CPU seconds of those who held the slot before, ``cpu_seen`` those of the holder
    as last seen. ``serial`` is another number for each slot that is made, ``run`` one for all
    processes of a run (see ``runs``). ``moved_from`` is the serial number of the slot that the
    holder had before, if that was removed with its directory, and ``moved_at`` the moment, by
    ``time.monotonic()``, if other processes had to move as well; ``state`` is a ``State``.
    """

    magic: bytes = MAGIC
    used: int = 160  # Its own size.
    generation: int = 0
    claimed_at: float = 0.0
    pid: int = 0
    started: int = 0
    parent: int = 0
    parent_started: int = 0
    namespace: int = 0
    boot: int = 0
    cpu_left: float = 0.0
    cpu_seen: float = 0.0
    always_zero: float = 0.0
    serial: int = 0
    run: int = 0
    moved_from: int = 0
    moved_at: float = 0.0
    state: int = 0


class State:
    """What the file of a slot is: its holder's own, or something else.

    A ``COPY`` stands for a file that was removed, while its holder still writes to that. It has
    ``MOVED`` once the holder has another file.
    """

    OWN = 0
    COPY = 1
    MOVED = 2


_HEADER = struct.Struct("=8sQQdQQQQQQdddQQQdQ16x")
HEADER_SIZE = _HEADER.size
_OFFSETS = {name: DOUBLE * place for place, name in enumerate(Header._fields)}
ZERO_AT = _OFFSETS["always_zero"] // DOUBLE
"""Where every slot has a double that is zero, for whatever it has no record of."""


def pack_header(header: Header) -> bytes:
    """Return the bytes of a header."""
    return _HEADER.pack(*header)


def unpack_header(buffer: bytes | memoryview) -> Header:
    """Return the header a slot begins with; raise ``Damaged`` if it has none."""
    if len(buffer) < HEADER_SIZE:
        raise Damaged(f"A slot should have a header of {HEADER_SIZE} bytes; got {len(buffer)}.")
    header = Header(*_HEADER.unpack_from(buffer))
    if header.magic != MAGIC and header.magic[:-1] == MAGIC[:-1]:
        raise OtherLayout(f"A slot should have version {MAGIC[-1]}; got {header.magic[-1]}.")
    if header.magic != MAGIC:
        raise Damaged(f"A slot should begin with {MAGIC!r}; got {header.magic!r}.")
    if not _is_sound(header):
        raise Damaged(f"A slot should have a header that can be; got {header}.")
    return header


def _is_sound(header: Header) -> bool:
    times = (header.claimed_at, header.cpu_left, header.cpu_seen)
    return (
        header.always_zero == 0
        and HEADER_SIZE <= header.used <= LARGEST_SIZE
        and header.used % DOUBLE == 0
        and all(0 <= seconds < math.inf for seconds in times)
    )


def offset_of(field: str) -> int:
    """Return where a field of the header is, in bytes."""
    return _OFFSETS[field]


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
        """Return the label set whose values these are; raise ``TypeError`` for a family."""
        if isinstance(self.subject, Declaration):
            raise TypeError(f"{self.subject.name} has no values of its own.")
        return self.subject


def _aligned(size: int) -> int:
    return -(-size // DOUBLE) * DOUBLE


def encode_declaration(declaration: Declaration) -> bytes:
    """Return the record of a family, which stands before those of its label sets.

    Raises ``ValueError`` for a family that no page could show.
    """
    trouble = _trouble_with(declaration)
    if trouble:
        raise ValueError(f"A family should {trouble}; got {declaration}.")
    return _encoded(Kind.DECLARATION, _words_of(declaration), width=0, ordinal=0)


def encode_series(series: Series, ordinal: int) -> bytes:
    """Return the record of a label set, its values and its moment zero.

    ``ordinal`` is the place of its family among the slot's families.
    """
    words = words_of_series(series)
    return _encoded(Kind.SERIES, words, width=series.declaration.width, ordinal=ordinal)


def words_of_series(series: Series) -> bytes:
    """Return what the record of a label set says of it, apart from its family."""
    return json.dumps(series.labels).encode()


def _encoded(kind: int, words: bytes, *, width: int, ordinal: int) -> bytes:
    head = _RECORD.pack(kind, len(words), width, ordinal)
    return head + words.ljust(_aligned(len(words)), b" ") + bytes(DOUBLE + width * DOUBLE)


def record_of(subject: Declaration | Series, encoded: bytes, at: int) -> Record:
    """Return what ``encoded``, at byte ``at`` of a slot, is."""
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
    trouble = _trouble_with(declaration)
    if trouble:
        raise Damaged(f"A family should {trouble}; got {words[:200]!r}.")
    return declaration


def _trouble_with(declaration: Declaration) -> str:
    """Return what a family should be and is not, as no process declares it."""
    type_, bounds = declaration.type, declaration.bounds
    if type_ not in (COUNTER, GAUGE, HISTOGRAM, SUMMARY):
        return "be of a known type"
    if not all((declaration.name, *declaration.labels)):
        return "have names"
    if len(set(declaration.labels)) < len(declaration.labels):
        return "have labels of different names"
    # NaN is neither less nor greater than anything, and prometheus_client takes one twice.
    is_rising = all(low <= high for low, high in pairwise(bounds))
    if type_ == HISTOGRAM and not (is_rising and bounds[-1:] == (math.inf,)):
        return "have bounds that rise to +Inf"
    if (type_ != HISTOGRAM and bounds) or (type_ != GAUGE and declaration.mode):
        return "have what its type has"
    if declaration.mode not in MODES:
        return "have a known mode"
    return ""


@lru_cache(16384)
def _label_values(words: bytes) -> tuple[str, ...]:
    return _strings(json.loads(words))


def _strings(values: list[Any]) -> tuple[str, ...]:
    return tuple(str(value) for value in values)


Raw = tuple[int, bytes, int, int, int, int, int]
"""Kind, words, width, place of the family, beginning in bytes, first value in doubles, and
end in bytes of a record that nobody has understood yet."""


def walk(buffer: bytes | memoryview, used: int) -> Iterator[Raw]:
    """Yield the records of a slot that has ``used`` bytes.

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
    """Yield the records of a slot that has ``used`` bytes, understood.

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
    """Return the family a record declares; raise ``Damaged`` if it declares none."""
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
