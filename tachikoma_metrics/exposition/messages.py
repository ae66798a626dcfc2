"""The messages of a metric family's samples: one for each label set and time.

The fields are those of
https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import groupby

from prometheus_client import Metric

from tachikoma_metrics.exposition.exemplars import ValidExemplar, exemplar_of
from tachikoma_metrics.exposition.families import OnError
from tachikoma_metrics.exposition.fields import Field
from tachikoma_metrics.exposition.merged import MergedMetric
from tachikoma_metrics.exposition.names import HISTOGRAMS
from tachikoma_metrics.exposition.native_fields import native_fields
from tachikoma_metrics.exposition.points import Point
from tachikoma_metrics.exposition.syntax import valid_labels
from tachikoma_metrics.exposition.wire import double, integer, message, signed, text, timestamp

START_TIMESTAMP = {Field.COUNTER: 3, Field.SUMMARY: 4, Field.HISTOGRAM: 15}
"""The number of the field with the start, in each value that has one.

Until 2026 it was named ``created_timestamp``.
"""

_EXEMPLAR = {"counter": 2, "histogram": 3, "gaugehistogram": 3}
"""The number of the field with the exemplar, in a counter or a bucket, by the family's type."""

VALUE_FIELDS = {
    "counter": Field.COUNTER,
    "gauge": Field.GAUGE,
    "gaugehistogram": Field.HISTOGRAM,
    "histogram": Field.HISTOGRAM,
    "info": Field.GAUGE,
    "stateset": Field.GAUGE,
    "summary": Field.SUMMARY,
    "unknown": Field.UNTYPED,
}
"""The field of a metric that has its value, by the type of the family."""

StartOf = Callable[[Point], "float | None"]
"""Returns since when a label set has been counted, in Unix seconds; None if unknown."""


class Messages:
    """Write the samples of one family as fields of its message, without those that are invalid.

    ``on_error`` is called with what is omitted.
    """

    def __init__(
        self, metric: Metric, global_labels: Mapping[str, str], on_error: OnError, start_of: StartOf
    ) -> None:
        self._native_of = metric.native_of if isinstance(metric, MergedMetric) else None
        self._name = metric.name
        self._type = metric.type
        self._field = VALUE_FIELDS[metric.type]
        self._special = _special(metric.type)
        self._global_labels = dict(global_labels)
        self._on_error = on_error
        self._start_of = start_of

    def of(self, points: Iterable[Point]) -> Iterator[bytes]:
        """Yield a message for each label set and time; ``points`` has those together."""
        for _, group in groupby(points, self._key):
            found = list(group)
            try:
                yield self._message(found)
            except Exception as error:
                self._on_error("render", error, self._name)

    def _key(self, point: Point) -> tuple[object, ...]:
        return (point.place.group if self._special else point.place.series, point.at)

    def _message(self, points: list[Point]) -> bytes:
        first = points[0]
        labels = self._global_labels | {
            name: str(value) for name, value in first.sample.labels.items()
        }
        labels.pop(self._special, None)
        given = first.sample.timestamp
        stamp = b"" if given is None else signed(Field.TIMESTAMP_MS, int(float(given) * 1000))
        value = self._value(points) + self._start(first)
        content = label_fields(tuple(labels.items())) + message(self._field, value) + stamp
        return message(Field.METRIC, content)

    def _value(self, points: list[Point]) -> bytes:
        if self._field == Field.HISTOGRAM:
            return self._histogram(points)
        if self._field == Field.SUMMARY:
            return _summary(*_ends(points), _values(points, ""))
        return double(Field.VALUE, points[0].value) + self._exemplar(points[0])

    def _histogram(self, points: list[Point]) -> bytes:
        count, total = _ends(points)
        found = [point for point in points if point.suffix == "_bucket"]
        buckets = map(self._bucket, found)
        labels = dict(points[0].sample.labels)
        labels.pop(self._special, None)
        native = self._native_of(frozenset(labels.items())) if self._native_of else None
        if native is None or native[0].count(native[1]) == 0 < (count or 0):
            # What did not fit into the file is in classic buckets alone.
            return histogram(count, total, buckets, found[-1].value)
        counted, total = native
        number = counted.count(total)
        return histogram(number, total, buckets, number) + native_fields(counted)

    def _bucket(self, point: Point) -> bytes:
        return bucket(point.place.bound, point.value) + self._exemplar(point)

    def _exemplar(self, point: Point) -> bytes:
        if point.sample.exemplar is None:
            return b""
        try:
            return exemplar_field(exemplar_of(point, self._type), self._type)
        except Exception as error:
            self._on_error("render", error, point.sample.name)
            return b""

    def _start(self, point: Point) -> bytes:
        start = self._start_of(point) if self._field in START_TIMESTAMP else None
        if start is None:
            return b""
        try:
            return timestamp(START_TIMESTAMP[self._field], start)
        except ValueError as error:
            self._on_error("render", error, self._name)
            return b""


def histogram(
    count: float | None, total: float | None, buckets: Iterable[bytes], last: float
) -> bytes:
    """Return the fields of a histogram, given the messages of its buckets and the last value.

    Other fields may be appended to them. Scrapers take a count or a sum that is missing for zero.
    So the count is that of the last bucket, and a sum that is unknown is NaN.
    """
    content = [_count_and_sum(last if count is None else count, total)]
    content += [message(Field.BUCKET, one) for one in buckets]
    return b"".join(content)


def bucket(bound: float, value: float) -> bytes:
    """Return the fields of a bucket; an exemplar may be appended to them."""
    return integer(Field.CUMULATIVE_COUNT, value) + double(Field.UPPER_BOUND, bound)


def exemplar_field(exemplar: ValidExemplar, type: str) -> bytes:
    """Return an exemplar as a field of a counter or a bucket, in a family of this type.

    Raises ``ValueError`` for labels or a time that cannot be exposed.
    """
    stamp = exemplar.timestamp
    content = _label_fields(exemplar.labels) + double(Field.EXEMPLAR_VALUE, exemplar.value)
    if stamp is not None:
        content += timestamp(Field.EXEMPLAR_TIMESTAMP, float(stamp))
    return message(_EXEMPLAR[type], content)


def _summary(
    count: float | None, total: float | None, quantiles: Iterable[tuple[float, float]]
) -> bytes:
    content = [
        message(Field.QUANTILE, double(1, quantile) + double(2, value))
        for quantile, value in quantiles
    ]
    return _count_and_sum(count, total) + b"".join(content)


def _count_and_sum(count: float | None, total: float | None) -> bytes:
    written = integer(Field.SAMPLE_COUNT, count or 0)
    return written + double(Field.SAMPLE_SUM, math.nan if total is None else total)


def _ends(points: list[Point]) -> tuple[float | None, float | None]:
    found = {point.suffix.replace("_g", "_"): point.value for point in points}
    return found.get("_count"), found.get("_sum")


def _values(points: list[Point], suffix: str) -> Iterable[tuple[float, float]]:
    return ((point.place.bound, point.value) for point in points if point.suffix == suffix)


def _special(type: str) -> str:
    """Return the label that is a number in the message, if there is one."""
    if type in HISTOGRAMS:
        return "le"
    return "quantile" if type == "summary" else ""


@lru_cache(16384)
def label_fields(labels: tuple[tuple[str, str], ...]) -> bytes:
    """Return the labels of a metric as fields, by their valid names, sorted by name.

    Raises ``ValueError`` for labels that cannot be exposed.
    """
    return _label_fields(dict(labels))


def _label_fields(labels: Mapping[str, str]) -> bytes:
    return b"".join(
        message(Field.LABEL, text(1, name) + text(2, value))
        for name, value in valid_labels(labels).items()
    )
