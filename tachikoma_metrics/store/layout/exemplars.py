"""Exemplars: where a file keeps them, and the bytes of one.

The exemplars of a label set are in a separate record, one cell for each bucket, or one for a
counter. The record is of the kind ``REMOVED``, and its declaration, the *holder*, is that of a
histogram which no process exposes: a release that knows nothing of exemplars skips the record, and
keeps it when it takes over the file. So the version of the layout is the same with exemplars.

A cell ends with a checksum. A reader that finds a cell half-written, during the write or
after its process was killed, ignores this exemplar only.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store.layout.declarations import COUNTER, HISTOGRAM, Declaration
from tachikoma_metrics.store.layout.format import DOUBLE

MOST_CHARACTERS = 128
"""Of the names and values of an exemplar's labels together.

https://prometheus.io/docs/specs/om/open_metrics_spec/#exemplars
"""

TRACE_ID, SPAN_ID = "trace_id", "span_id"

SMALL, LARGE = 64, 192
CELL_SIZES = (SMALL, LARGE)
"""Bytes of a cell for a trace and a span, and of one for other labels."""

_PREFIX = "exemplars:"
_TRACE = struct.Struct("=dd16s8s20x")
_MOST_BYTES = 170
_TEXT = struct.Struct(f"=ddH{_MOST_BYTES}s")
_CHECKSUM = struct.Struct("=I")
_NO_SPAN = bytes(8)
_TRACE_DIGITS, _SPAN_DIGITS = 32, 16
_BETWEEN = b"\xff"
"""No byte of UTF-8."""


class Exemplar(NamedTuple):
    """The labels of one observation, its value, and its time in Unix seconds."""

    labels: Mapping[str, str]
    value: float
    timestamp: float


class Subject(NamedTuple):
    """What a holder is for: the metric, and the bytes of each cell."""

    declaration: Declaration
    size: int

    @property
    def doubles(self) -> int:
        """Return the size of a cell in doubles."""
        return self.size // DOUBLE


@lru_cache(1024)
def holder_of(declaration: Declaration, size: int) -> Declaration:
    """Return the declaration of the exemplars of a counter or a histogram.

    Its bounds are those of the metric and then ``+Inf``, as often as makes the record as long as
    the cells.
    """
    bounds = declaration.bounds or (math.inf,)
    more = len(bounds) * size // DOUBLE - 1 - len(bounds)
    return Declaration(
        HISTOGRAM,
        declaration.name,
        labels=declaration.labels,
        bounds=(*bounds, *[math.inf] * more),
        is_builtin=declaration.is_builtin,
        lost=f"{_PREFIX}{declaration.type}:{size}",
        native=declaration.native,
    )


def subject_of(holder: Declaration) -> Subject | None:
    """Return what a declaration holds the exemplars of; None if it is that of a metric."""
    if not holder.lost.startswith(_PREFIX):
        return None
    type_, _, size = holder.lost.removeprefix(_PREFIX).partition(":")
    is_known = type_ in (COUNTER, HISTOGRAM) and size in (str(SMALL), str(LARGE))
    if not is_known or math.inf not in holder.bounds:
        return None
    bounds = holder.bounds[: holder.bounds.index(math.inf) + 1]
    declaration = Declaration(
        type_,
        holder.name,
        labels=holder.labels,
        bounds=bounds if type_ == HISTOGRAM else (),
        is_builtin=holder.is_builtin,
        native=holder.native,
    )
    return Subject(declaration, int(size))


# --- cells ------------------------------------------------------------------


def pack(exemplar: Exemplar) -> bytes:
    """Return the bytes of a cell, ``SMALL`` if the labels are a trace and a span.

    A label that would make it more than ``MOST_CHARACTERS``, or does not fit, is left out as a
    whole. Returns no bytes if no label is left.
    """
    packed = _packed_trace(exemplar) or _packed_text(exemplar)
    return packed and packed + _CHECKSUM.pack(crc32(packed))


def _packed_trace(exemplar: Exemplar) -> bytes | None:
    labels = exemplar.labels
    trace, span = labels.get(TRACE_ID, ""), labels.get(SPAN_ID, "")
    is_whole = len(labels) == (2 if span else 1) and len(trace) == _TRACE_DIGITS
    if not is_whole or (span and len(span) != _SPAN_DIGITS):
        return None
    try:
        ids = bytes.fromhex(trace), bytes.fromhex(span) or _NO_SPAN
    except ValueError as error:
        pass_on(error)
        return None
    if ids[0].hex() != trace or (span and (ids[1].hex() != span or ids[1] == _NO_SPAN)):
        return None
    return _TRACE.pack(exemplar.value, exemplar.timestamp, *ids)


def _packed_text(exemplar: Exemplar) -> bytes:
    text = b""
    characters = 0
    for name, value in exemplar.labels.items():
        pair = _BETWEEN.join([*([text] if text else []), name.encode(), value.encode()])
        more = len(name) + len(value)
        if characters + more <= MOST_CHARACTERS and len(pair) <= _MOST_BYTES:
            text, characters = pair, characters + more
    return _TEXT.pack(exemplar.value, exemplar.timestamp, len(text), text) if text else b""


def unpack(cell: bytes | memoryview) -> Exemplar | None:
    """Return the exemplar in a cell; None if there is none, or only a part of one."""
    try:
        end = len(cell) - _CHECKSUM.size
        if crc32(cell[:end]) != _CHECKSUM.unpack_from(cell, end)[0]:
            return None
        return _unpacked_trace(cell) if len(cell) == SMALL else _unpacked_text(cell)
    except Exception as error:
        pass_on(error)
        return None


def _unpacked_trace(cell: bytes | memoryview) -> Exemplar:
    value, timestamp, trace, span = _TRACE.unpack_from(cell)
    labels = {TRACE_ID: trace.hex()}
    if span != _NO_SPAN:
        labels[SPAN_ID] = span.hex()
    return Exemplar(labels, value, timestamp)


def _unpacked_text(cell: bytes | memoryview) -> Exemplar:
    value, timestamp, length, text = _TEXT.unpack_from(cell)
    words = [word.decode() for word in text[:length].split(_BETWEEN)]
    labels = dict(zip(words[::2], words[1::2], strict=True)) if length else {}
    return Exemplar(labels, value, timestamp)
