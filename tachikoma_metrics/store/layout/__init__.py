"""The bytes of a memory-mapped file: a header, then records, each with a text and some doubles.

Each process has one such file, its *slot*. Everything is aligned to eight bytes and in the byte
order of the machine, so that a value is one double that one process stores and every other
process reads whole. A record is complete before the header includes it, and never moves, except
under an odd generation (as in a seqlock:
https://www.kernel.org/doc/html/latest/locking/seqlock.html).
"""

from __future__ import annotations

from tachikoma_metrics.store.layout.declarations import (
    COUNTER,
    GAUGE,
    GAUGE_WIDTH,
    HISTOGRAM,
    LEFT_SET_AT,
    LEFT_VALUE,
    LIVESUM_OF_SET,
    MODES,
    SET_AT,
    SUMMARY,
    VALUE,
    WAS_CHANGED,
    Declaration,
    Series,
)
from tachikoma_metrics.store.layout.format import (
    DOUBLE,
    LARGEST_SIZE,
    LAYOUT_VERSION,
    MAGIC,
    Damaged,
    OtherLayout,
)
from tachikoma_metrics.store.layout.header import (
    HEADER_SIZE,
    ZERO_AT,
    Header,
    State,
    offset_of,
    pack_header,
    unpack_header,
)
from tachikoma_metrics.store.layout.native import (
    BLOCK,
    BLOCK_SIZE,
    LARGEST_COUNT,
    NAN_PLACE,
    NEGATIVE,
    ZERO,
    ZERO_PLACE,
    Native,
)
from tachikoma_metrics.store.layout.records import (
    KIND_SIZE,
    NOT_COUNTED,
    Kind,
    Record,
    encode_declaration,
    encode_series,
    mark,
    moment_of,
    pack_kind,
    parse,
    read_declaration,
    read_series,
    record_of,
    walk,
    words_of_series,
)

__all__ = [
    "BLOCK",
    "BLOCK_SIZE",
    "COUNTER",
    "DOUBLE",
    "GAUGE",
    "GAUGE_WIDTH",
    "HEADER_SIZE",
    "HISTOGRAM",
    "KIND_SIZE",
    "LARGEST_COUNT",
    "LARGEST_SIZE",
    "LAYOUT_VERSION",
    "LEFT_SET_AT",
    "LEFT_VALUE",
    "LIVESUM_OF_SET",
    "MAGIC",
    "MODES",
    "NAN_PLACE",
    "NEGATIVE",
    "NOT_COUNTED",
    "SET_AT",
    "SUMMARY",
    "VALUE",
    "WAS_CHANGED",
    "ZERO",
    "ZERO_AT",
    "ZERO_PLACE",
    "Damaged",
    "Declaration",
    "Header",
    "Kind",
    "Native",
    "OtherLayout",
    "Record",
    "Series",
    "State",
    "encode_declaration",
    "encode_series",
    "mark",
    "moment_of",
    "offset_of",
    "pack_header",
    "pack_kind",
    "parse",
    "read_declaration",
    "read_series",
    "record_of",
    "unpack_header",
    "walk",
    "words_of_series",
]
