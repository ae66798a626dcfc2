"""The messages of a metric of the store, from what stays the same between two scrapes.

A field of the type ``double`` always has the same length, so all messages of a counter or gauge
are written at once. Those of a histogram vary in length with its counts.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, repeat
from typing import Protocol

from tachikoma_metrics.exposition.fields import Field
from tachikoma_metrics.exposition.messages import START_TIMESTAMP, VALUE_FIELDS
from tachikoma_metrics.exposition.names import WITH_CREATED
from tachikoma_metrics.exposition.native_fields import native_fields
from tachikoma_metrics.exposition.wire import (
    WORD,
    delimited,
    double,
    tag,
    timestamp,
    varint,
    varint_width,
    varints,
)
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store.families import Family, Pairs
from tachikoma_metrics.store.layout import DOUBLE, GAUGE, HISTOGRAM, SUMMARY
from tachikoma_metrics.store.native_histograms import NativeHistogram

_METRIC = tag(Field.METRIC, 2)
_EMPTY_DOUBLE = double(1, 0.0)

LabelFields = Callable[[Pairs], bytes]
"""Returns the labels of a label set as fields; raises ``ValueError`` if they are invalid."""


class Template(Protocol):
    """Write the messages of all label sets, as fields of their family's message.

    ``starts`` are those that are in it.
    """

    starts: Sequence[float]

    def write(self, family: Family) -> bytes:
        """Return the messages with the values of ``family``, whose lines are those of the template.

        Raises ``ValueError`` if one cannot be written.
        """


def quick_messages(family: Family, label_fields: LabelFields, key: object) -> bytes | None:
    """Return the messages of a metric of the store, from a cached template.

    ``key`` is what the results of ``label_fields`` depend on. Returns None if the samples have to
    be validated one by one.
    """
    rendered = family.lines.rendered
    # A gauge has none.
    starts = family.starts if family.declaration.type in WITH_CREATED else ()
    template: Template | None = rendered.get(key)
    try:
        if template is None or template.starts != starts:
            template = rendered[key] = _template(family, label_fields, starts)
        return template.write(family)
    except (ValueError, OverflowError) as error:
        pass_on(error)
        return None


def _require_totals(values: Sequence[float]) -> None:
    """Raise ``ValueError`` for a negative total, and for NaN, which ``min`` may pass over."""
    if values and not (min(values) >= 0 and not math.isnan(sum(values))):
        raise ValueError(f"Totals must be at least 0; got {min(values)}.")


def _template(family: Family, label_fields: LabelFields, starts: Sequence[float]) -> Template:
    labels = list(map(label_fields, family.lines.pairs()))
    if family.declaration.native is not None:
        return _NativeObservations(family, labels, starts)
    if family.declaration.type in (HISTOGRAM, SUMMARY):
        return _Observations(family, labels, starts)
    return _Numbers(family, labels, starts)


class _Numbers:
    """The messages of a counter or a gauge: bytes with a gap for each value."""

    def __init__(self, family: Family, labels: Iterable[bytes], starts: Sequence[float]) -> None:
        self.starts = starts
        self._is_total = family.declaration.type != GAUGE
        before = tag(VALUE_FIELDS[family.declaration.type], 2)
        constants = _around(len(_EMPTY_DOUBLE), labels, before, _start_fields(family, starts))
        # The tag of a double is constant as well.
        constants[:-1:2] = [one + _EMPTY_DOUBLE[:-DOUBLE] for one in constants[:-1:2]]
        self._arguments: list[bytes | float] = [*constants]
        lengths = [f"{len(constant)}s" for constant in constants[::2]]
        self._pack = struct.Struct("<" + "d".join(lengths)).pack

    def write(self, family: Family) -> bytes:
        """Return the messages with the values of ``family``."""
        values = family.values
        if self._is_total:
            _require_totals(values)
        arguments = self._arguments.copy()
        arguments[1::2] = values
        return self._pack(*arguments)


class _Observations:
    """The messages of a histogram or a summary: all values are of the same length.

    That is so because all counts are written in as many bytes as the largest of them needs.
    """

    def __init__(self, family: Family, labels: list[bytes], starts: Sequence[float]) -> None:
        self.starts = starts
        endings = family.lines.endings
        self._labels = labels
        self._ends = list(_start_fields(family, starts))
        self._tag = tag(VALUE_FIELDS[family.declaration.type], 2)
        self._columns = len(endings)
        self._sum = endings.index(("_sum", None)) if ("_sum", None) in endings else None
        self._bounds = [bound for _, bound in endings if bound is not None]
        if family.declaration.type == HISTOGRAM and not _is_rising(self._bounds):
            raise ValueError(f"The bounds of {family.declaration.name} must increase to +Inf.")
        self._layout = self._layout_of(1)

    def write(self, family: Family) -> bytes:
        """Return the messages with the values of ``family``."""
        fields = self._fields(*self._split(family.values))
        pieces: list[bytes | bytearray] = [*self._layout.constants]
        pieces[1::2] = fields
        return b"".join(pieces)

    def _fields(self, counts: Sequence[float], sums: bytes) -> list[bytearray]:
        """Return the fields of each label set, for which there is a layout then."""
        width = varint_width(max(counts, default=0))
        if width != self._layout.width:
            self._layout = self._layout_of(width)
        return self._layout.values(varints(counts, width), sums)

    def _split(self, values: Sequence[float]) -> tuple[list[float], bytes]:
        """Return the counts, those of all label sets for each gap, and the bytes of the sums."""
        counts = self._counts(values)
        if self._sum is None:
            # It may decrease, and is not exposed.
            return counts, struct.pack("<d", math.nan) * len(self._labels)
        sums = values[self._sum :: self._columns]
        _require_totals(sums)
        return counts, struct.pack(f"<{len(sums)}d", *sums)

    def _counts(self, values: Sequence[float]) -> list[float]:
        buckets = len(self._bounds)
        counts: list[float] = []
        # The count of all observations comes first.
        for column in (buckets, *range(buckets)):
            counts += values[column :: self._columns]
        return counts

    def _layout_of(self, width: int) -> _Layout:
        gaps = _Gaps(self._bounds, width)
        return _Layout(gaps, _around(len(gaps.value), self._labels, self._tag, self._ends))


_length = lru_cache(4096)(varint)


class _NativeObservations(_Observations):
    """The messages of a histogram with native buckets, whose fields follow the classic ones."""

    def write(self, family: Family) -> bytes:
        """Return the messages with the values of ``family``."""
        natives = family.natives
        if natives is None:
            return super().write(family)
        counts = self._counts(family.values)
        counts[: len(self._labels)] = map(NativeHistogram.count, natives.histograms, natives.sums)
        fields = self._fields(counts, struct.pack(f"<{len(natives.sums)}d", *natives.sums))
        pieces: list[bytes | bytearray] = []
        for labels, classic, native, end in zip(
            self._labels, fields, map(native_fields, natives.histograms), self._ends, strict=True
        ):
            size = len(classic) + len(native) + len(end)
            before = labels + self._tag + _length(size)
            pieces += _METRIC, _length(len(before) + size), before, classic, native, end
        return b"".join(pieces)


class _Gaps:
    """The fields of one histogram or summary, with gaps for its sum and its counts.

    ``width`` is the number of bytes of each count, ``counts`` and ``sum`` are where the gaps are:
    that of the count of all observations first, then those of the buckets.
    """

    def __init__(self, bounds: Sequence[float], width: int) -> None:
        self.width = width
        before = tag(Field.SAMPLE_COUNT, 0)
        value = before + bytes(width) + tag(Field.SAMPLE_SUM, 1)
        self.counts = [len(before)]
        self.sum = len(value)
        value += bytes(DOUBLE)
        for bound in bounds:
            before = tag(Field.CUMULATIVE_COUNT, 0)
            bucket = before + bytes(width) + double(Field.UPPER_BOUND, bound)
            value += tag(Field.BUCKET, 2) + delimited(bucket)
            self.counts.append(len(value) - len(bucket) + len(before))
        self.value = value


@dataclass(frozen=True)
class _Layout:
    """The fields of all label sets as they are for counts of one width.

    ``constants`` are the bytes before, between and after them, with a place for each between two.
    Fields that differ in length from one scrape to the next cannot be among those.
    """

    gaps: _Gaps
    constants: list[bytes]

    @property
    def width(self) -> int:
        """Return the number of bytes of each count."""
        return self.gaps.width

    def values(self, counts: bytes, sums: bytes) -> list[bytearray]:
        """Return the fields of each label set.

        ``sums`` has a word for each label set, ``counts`` has as many for each gap, one gap after
        the other.
        """
        size, length = len(self.gaps.value), len(sums)
        values = bytearray(self.gaps.value * (length // WORD))
        for number, gap in enumerate(self.gaps.counts):
            words = counts[number * length : (number + 1) * length]
            for place in range(self.width):
                values[gap + place :: size] = words[place::WORD]
        for place in range(WORD):
            values[self.gaps.sum + place :: size] = sums[place::WORD]
        return [values[at : at + size] for at in range(0, len(values), size)]


def _around(
    length: int, labels: Iterable[bytes], value_tag: bytes, ends: Iterable[bytes]
) -> list[bytes]:
    """Return the bytes around values of ``length``, with empty ones in their places."""
    constants = [b""]
    for fields, end in zip(labels, ends, strict=True):
        value = bytes(length) + end
        message = _METRIC + delimited(fields + value_tag + delimited(value))
        constants[-1] += message[: -len(value)]
        constants += b"", end
    return constants


def _is_rising(bounds: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(bounds)) and bounds[-1:] == [math.inf]


def _start_fields(family: Family, starts: Sequence[float]) -> Iterable[bytes]:
    if not starts:
        return repeat(b"", len(family.lines.label_sets))
    number = START_TIMESTAMP[VALUE_FIELDS[family.declaration.type]]
    return [timestamp(number, start) if start < math.inf else b"" for start in starts]
