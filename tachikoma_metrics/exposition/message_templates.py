"""The messages of a metric of the store, from what stays the same between two scrapes.

A field of the type ``double`` always has the same length, so all messages of a counter or gauge
are written at once. Those of a histogram vary in length with its counts.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise, repeat
from typing import NamedTuple, Protocol

from tachikoma_metrics.exposition.fields import Field
from tachikoma_metrics.exposition.messages import START_TIMESTAMP, VALUE_FIELDS
from tachikoma_metrics.exposition.names import WITH_CREATED
from tachikoma_metrics.exposition.native_fields import native_fields
from tachikoma_metrics.exposition.wire import (
    VARINTS,
    Varints,
    delimited,
    double,
    tag,
    timestamp,
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
        number = VALUE_FIELDS[family.declaration.type]
        constants = [b""]
        for fields, end in zip(labels, _start_fields(family, starts), strict=True):
            value = tag(number, 2) + delimited(_EMPTY_DOUBLE + end)
            begin = _METRIC + delimited(fields + value)
            gap = len(begin) - len(end) - DOUBLE
            constants[-1] += begin[:gap]
            constants.append(end)
        # One value follows each constant but the last.
        self._arguments: list[bytes | float] = [b""] * (2 * len(constants) - 1)
        self._arguments[::2] = constants
        lengths = [f"{len(constant)}s" for constant in constants]
        self._pack = struct.Struct("<" + "d".join(lengths)).pack

    def write(self, family: Family) -> bytes:
        """Return the messages with the values of ``family``."""
        values = family.values
        if self._is_total:
            _require_totals(values)
        arguments = self._arguments.copy()
        arguments[1::2] = values
        return self._pack(*arguments)


class _BucketCounts(Varints):
    """The bytes of a bucket up to its bound: length of the message, and the field of its count."""

    def encode(self, value: float) -> bytes:
        """Return the bytes for a count."""
        count = tag(Field.CUMULATIVE_COUNT, 0) + VARINTS[value]
        return VARINTS[len(count) + len(_EMPTY_DOUBLE)] + count


_BUCKET_COUNTS = _BucketCounts()


class _Observations:
    """The messages of a histogram or a summary: the same bytes, with gaps, for each label set."""

    def __init__(self, family: Family, labels: list[bytes], starts: Sequence[float]) -> None:
        self.starts = starts
        declaration = family.declaration
        endings = family.lines.endings
        self._labels = labels
        self._ends = list(_start_fields(family, starts))
        self._tag = tag(VALUE_FIELDS[declaration.type], 2)
        self._width = len(endings)
        self._buckets = sum(bound is not None for _, bound in endings)
        self._sum = endings.index(("_sum", None)) if ("_sum", None) in endings else None
        bounds = [bound for _, bound in endings if bound is not None]
        if family.declaration.type == HISTOGRAM and not _is_rising(bounds):
            raise ValueError(f"The bounds of {declaration.name} must increase to +Inf.")
        self._gaps = b"".join([_COUNT_AND_SUM, *map(_bucket_with_gap, bounds)])

    def write(self, family: Family) -> bytes:
        """Return the messages with the values of ``family``."""
        values = family.values
        width, buckets = self._width, self._buckets
        written: list[bytes] = []
        firsts = range(0, len(values), width)
        for labels, total, end, first in zip(
            self._labels, self._sums(values), self._ends, firsts, strict=True
        ):
            last = first + buckets
            counts = map(_BUCKET_COUNTS.__getitem__, values[first:last])
            fields = self._gaps % (VARINTS[values[last]], total, *counts) + end
            value = self._tag + VARINTS[len(fields)] + fields
            written += _METRIC, VARINTS[len(labels) + len(value)], labels, value
        return b"".join(written)

    def _sums(self, values: Sequence[float]) -> Iterable[bytes]:
        """Return the bytes of each sum; NaN where the sum may decrease, and is not exposed."""
        if self._sum is None:
            return repeat(_NAN, len(self._labels))
        found = values[self._sum :: self._width]
        _require_totals(found)
        packed = struct.pack(f"<{len(found)}d", *found)
        return [packed[at : at + DOUBLE] for at in range(0, len(packed), DOUBLE)]


class _NativeObservations(_Observations):
    """The messages of a histogram with native buckets.

    Those of label sets in which nothing was counted since the last time are remembered.
    """

    def __init__(self, family: Family, labels: list[bytes], starts: Sequence[float]) -> None:
        super().__init__(family, labels, starts)
        self._known: list[_Known] = [_Known()] * len(labels)

    def write(self, family: Family) -> bytes:
        """Return the messages with the values of ``family``."""
        natives = family.natives
        if natives is None:
            return super().write(family)
        width, values = self._width, family.values
        firsts = range(0, len(values), width)
        found = zip(self._known, natives.histograms, natives.sums, firsts, strict=True)
        self._known = [
            known
            if native is known.native
            and values[first : first + width] == known.values
            and total == known.total
            else _Known(
                native,
                total,
                values[first : first + width],
                self._message(place, native, total, values[first : first + width]),
            )
            for place, (known, native, total, first) in enumerate(found)
        ]
        return b"".join([known.message for known in self._known])

    def _message(
        self, place: int, native: NativeHistogram, total: float, values: Sequence[float]
    ) -> bytes:
        counts = map(_BUCKET_COUNTS.__getitem__, values[: self._buckets])
        count = VARINTS[native.count(total)]
        fields = self._gaps % (count, struct.pack("<d", total), *counts)
        fields += native_fields(native) + self._ends[place]
        labels = self._labels[place]
        value = self._tag + VARINTS[len(fields)] + fields
        return b"".join([_METRIC, VARINTS[len(labels) + len(value)], labels, value])


class _Known(NamedTuple):
    native: NativeHistogram | None = None
    total: float = 0.0
    values: Sequence[float] = ()
    message: bytes = b""


_NAN = struct.pack("<d", math.nan)
_COUNT_AND_SUM = b"%b%%b%b%%b" % (tag(Field.SAMPLE_COUNT, 0), tag(Field.SAMPLE_SUM, 1))


def _bucket_with_gap(bound: float) -> bytes:
    """Return the field of a bucket, with a gap for what ``_BUCKET_COUNTS`` has of its count."""
    after = double(Field.UPPER_BOUND, bound).replace(b"%", b"%%")
    return tag(Field.BUCKET, 2) + b"%b" + after


def _is_rising(bounds: Sequence[float]) -> bool:
    return all(low < high for low, high in pairwise(bounds)) and bounds[-1:] == [math.inf]


def _start_fields(family: Family, starts: Sequence[float]) -> Iterable[bytes]:
    if not starts:
        return repeat(b"", len(family.lines.label_sets))
    number = START_TIMESTAMP[VALUE_FIELDS[family.declaration.type]]
    return [timestamp(number, start) if start < math.inf else b"" for start in starts]
