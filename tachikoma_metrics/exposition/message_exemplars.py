"""Exemplars in messages that were written from a template, which has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tachikoma_metrics.exposition.fields import Field
from tachikoma_metrics.exposition.wire import delimited, message, tag

_LENGTH_DELIMITED = 2
_BUCKET = tag(Field.BUCKET, _LENGTH_DELIMITED)

Added = Mapping[int, Mapping[int, bytes]]
"""Fields with an exemplar, by the place of the label set and that of the bucket in it."""


def with_exemplars(metrics: bytes, added: Added) -> bytes:
    """Return the messages of counters or histograms with exemplars in them.

    ``metrics`` are fields of the message of their family, one for each label set. Only those of
    ``added`` are decoded.
    """
    parts = []
    done = 0
    for number, (_, begin, content, end) in enumerate(_fields(metrics)):
        buckets = added.get(number)
        if buckets:
            parts += [metrics[done:begin], _metric(metrics[content:end], buckets)]
            done = end
    return b"".join([*parts, metrics[done:]])


def _metric(content: bytes, buckets: Mapping[int, bytes]) -> bytes:
    parts = []
    for number, begin, start, end in _fields(content):
        if number == Field.COUNTER:
            parts.append(message(number, content[start:end] + b"".join(buckets.values())))
        elif number == Field.HISTOGRAM:
            parts.append(message(number, _histogram(content[start:end], buckets)))
        else:
            parts.append(content[begin:end])
    return message(Field.METRIC, b"".join(parts))


def _histogram(content: bytes, buckets: Mapping[int, bytes]) -> bytes:
    parts = []
    place = done = 0
    last = max(buckets)
    for number, begin, start, end in _fields(content):
        if number == Field.BUCKET:
            if place in buckets:
                bucket = delimited(content[start:end] + buckets[place])
                parts += [content[done:begin], _BUCKET, bucket]
                done = end
            if place == last:
                break
            place += 1
    return b"".join([*parts, content[done:]])


def _fields(content: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield the number of each field, and where it, its value and the next one begin."""
    at = 0
    while at < len(content):
        begin = at
        key, at = _varint(content, at)
        start = at
        if key & 7 == _LENGTH_DELIMITED:
            length, start = _varint(content, at)
            at = start + length
        elif key & 7:
            at += 8 if key & 7 == 1 else 4
        else:
            _, at = _varint(content, at)
        yield key >> 3, begin, start, at


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = content[at]
    if value < 0x80:
        return value, at + 1
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
