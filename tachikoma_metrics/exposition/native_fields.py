"""The fields of a native histogram, which follow those of a classic one in the same message."""

from __future__ import annotations

from tachikoma_metrics.exposition.fields import Field
from tachikoma_metrics.exposition.wire import SIGNED_VARINTS, VARINTS, double, integer, message, tag
from tachikoma_metrics.store.native_histograms import Buckets, NativeHistogram

_RENDERED = "protobuf"


def native_fields(histogram: NativeHistogram) -> bytes:
    """Return the fields of what a histogram has counted, apart from its count and its sum."""
    known: bytes | None = histogram.rendered.get(_RENDERED)
    if known is None:
        schema = tag(Field.SCHEMA, 0) + SIGNED_VARINTS[histogram.schema]
        zero = double(Field.ZERO_THRESHOLD, histogram.zero_threshold)
        known = histogram.rendered[_RENDERED] = b"".join(
            [
                schema,
                zero,
                integer(Field.ZERO_COUNT, histogram.zero_count),
                _side(histogram.negative, Field.NEGATIVE_SPAN, Field.NEGATIVE_DELTA),
                _side(histogram.positive, Field.POSITIVE_SPAN, Field.POSITIVE_DELTA),
            ]
        )
    return known


def _side(buckets: Buckets, span: int, delta: int) -> bytes:
    if not buckets.spans:
        return b""
    spans = [
        message(span, tag(1, 0) + SIGNED_VARINTS[offset] + integer(2, length))
        for offset, length in buckets.spans
    ]
    deltas = b"".join(map(SIGNED_VARINTS.__getitem__, buckets.deltas))
    return b"".join([*spans, tag(delta, 2), VARINTS[len(deltas)], deltas])
