"""The fields of a native histogram, which follow those of a classic one in the same message.

Most of them stay the same from one scrape to the next, and are remembered.
"""

from __future__ import annotations

from functools import lru_cache

from tachikoma_metrics.exposition.fields import Field
from tachikoma_metrics.exposition.wire import double, integer, message, tag, varint
from tachikoma_metrics.store.native_histograms import Buckets, NativeHistogram, Spans

_RENDERED = "protobuf"
_MOST_REMEMBERED = 1 << 16


class _Signed(dict[int, bytes]):
    """The bytes of numbers of the types ``sint32`` and ``sint64``; a look-up encodes others."""

    def __missing__(self, value: int) -> bytes:
        if len(self) >= _MOST_REMEMBERED:
            self.clear()
        encoded = self[value] = varint(2 * value if value >= 0 else -2 * value - 1)
        return encoded


_SIGNED = _Signed()

_varint = lru_cache(_MOST_REMEMBERED)(varint)

_NEGATIVE = Field.NEGATIVE_SPAN, Field.NEGATIVE_DELTA
_POSITIVE = Field.POSITIVE_SPAN, Field.POSITIVE_DELTA


def native_fields(histogram: NativeHistogram) -> bytes:
    """Return the fields of what a histogram has counted, apart from its count and its sum."""
    known: bytes | None = histogram.rendered.get(_RENDERED)
    if known is None:
        parts = [_head(histogram.schema, histogram.zero_threshold), _varint(histogram.zero_count)]
        if histogram.negative.spans:
            parts += _side(histogram.negative, *_NEGATIVE)
        if histogram.positive.spans:
            parts += _side(histogram.positive, *_POSITIVE)
        known = histogram.rendered[_RENDERED] = b"".join(parts)
    return known


@lru_cache
def _head(schema: int, zero_threshold: float) -> bytes:
    """Return everything up to the count of the zero bucket."""
    fields = tag(Field.SCHEMA, 0) + _SIGNED[schema]
    return fields + double(Field.ZERO_THRESHOLD, zero_threshold) + tag(Field.ZERO_COUNT, 0)


def _side(buckets: Buckets, span: int, delta: int) -> tuple[bytes, bytes, bytes]:
    deltas = b"".join(map(_SIGNED.__getitem__, buckets.deltas))
    return _before_deltas(buckets.spans, span, delta), _varint(len(deltas)), deltas


@lru_cache(16384)
def _before_deltas(spans: Spans, span: int, delta: int) -> bytes:
    fields = [
        message(span, tag(1, 0) + _SIGNED[offset] + integer(2, length)) for offset, length in spans
    ]
    return b"".join([*fields, tag(delta, 2)])
