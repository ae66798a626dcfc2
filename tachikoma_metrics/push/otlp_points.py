"""The data points of samples that are validated one by one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import groupby, pairwise

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    HistogramDataPoint,
    NumberDataPoint,
    SummaryDataPoint,
)

from tachikoma_metrics.exposition import OnError
from tachikoma_metrics.exposition.exemplars import ValidExemplar, exemplar_of
from tachikoma_metrics.exposition.names import HISTOGRAMS
from tachikoma_metrics.exposition.points import Point
from tachikoma_metrics.exposition.syntax import valid_labels

NANOSECONDS = 10**9
_UNKNOWN = 0
"""A start that is not known. https://opentelemetry.io/docs/specs/otel/metrics/data-model/"""

_TRACE_DIGITS, _SPAN_DIGITS = 32, 16


@dataclass(frozen=True)
class Moment:
    """The time at which the values of a request were read, in Unix nanoseconds, and their context.

    ``label_names`` has the other names of labels, if any.
    """

    now: int
    global_labels: Mapping[str, str]
    on_error: OnError
    label_names: Mapping[str, str] = field(default_factory=dict)

    def attributes(self, labels: Mapping[str, str]) -> list[KeyValue]:
        """Return labels, with the global ones, as attributes.

        Raises ``ValueError`` for labels that cannot be exposed.
        """
        valid = valid_labels({**self.global_labels, **labels})
        names = self.label_names
        return attributes({names.get(name, name): value for name, value in valid.items()})

    def number(
        self,
        labels: Sequence[KeyValue],
        value: float,
        start: int,
        exemplars: Sequence[Exemplar] = (),
    ) -> NumberDataPoint:
        """Return the point of a counter or a gauge."""
        return NumberDataPoint(
            attributes=labels,
            start_time_unix_nano=start,
            time_unix_nano=self.now,
            as_double=value,
            exemplars=exemplars,
        )


def attributes(labels: Mapping[str, str]) -> list[KeyValue]:
    """Return labels as attributes. An empty label is none, as in Prometheus."""
    return [_attribute(name, str(value)) for name, value in labels.items() if value]


@lru_cache(4096)
def _attribute(name: str, value: str) -> KeyValue:
    return KeyValue(key=name, value=AnyValue(string_value=_encodable(value)))


def _encodable(text: str) -> str:
    return text.encode(errors="replace").decode()


def nanoseconds(start: float | None) -> int:
    """Return a start, in Unix seconds, in nanoseconds; 0 if it is unknown."""
    if start is None or not 0 < start < math.inf:
        return _UNKNOWN
    # Milliseconds: the last digits of a double depend on the file that a label set is in, and a
    # start must be the same each time.
    return int(start * 1e3) * 1_000_000


def counts(cumulative: Sequence[float]) -> list[int]:
    """Return the number of observations in each bucket alone."""
    return [int(after - before) for before, after in pairwise((0.0, *cumulative))]


def exemplar(valid: ValidExemplar) -> Exemplar:
    """Return an exemplar as a message; ids of a trace and a span in their fields."""
    labels = dict(valid.labels)
    trace, span = labels.get("trace_id", ""), labels.get("span_id", "")
    found = Exemplar(as_double=valid.value)
    if _is_id(trace, _TRACE_DIGITS) and (not span or _is_id(span, _SPAN_DIGITS)):
        found.trace_id, found.span_id = bytes.fromhex(trace), bytes.fromhex(span)
        labels = {name: labels[name] for name in labels.keys() - {"trace_id", "span_id"}}
    found.filtered_attributes.extend(attributes(labels))
    if valid.timestamp is not None:
        found.time_unix_nano = int(float(valid.timestamp) * NANOSECONDS)
    return found


def _is_id(text: str, digits: int) -> bool:
    return len(text) == digits and all(letter in "0123456789abcdefABCDEF" for letter in text)


class Points:
    """Make the data points of one family; ``start_of`` returns since when a point was counted."""

    def __init__(
        self, type: str, moment: Moment, start_of: Callable[[Point], float | None]
    ) -> None:
        self._type = type
        self._moment = moment
        self._start_of = start_of
        # A gauge histogram is sent as gauges, of which `le` is a label as any other.
        self._special = {"histogram": "le", "summary": "quantile"}.get(type, "")

    def of(self, points: Iterable[Point]) -> Iterator[object]:
        """Yield a data point for each label set and time; ``points`` has those together."""
        for _, group in groupby(points, self._key):
            found = list(group)
            try:
                yield self._data_point(found)
            except Exception as error:
                self._moment.on_error("render", error, found[0].sample.name)

    def _key(self, point: Point) -> tuple[object, ...]:
        return (point.place.group if self._special else point.place.series, point.at)

    def _data_point(self, points: list[Point]) -> object:
        first = points[0]
        labels = {name: str(value) for name, value in first.sample.labels.items()}
        labels.pop(self._special, None)
        moment = self._moment
        found: HistogramDataPoint | NumberDataPoint | SummaryDataPoint
        if self._special and self._type in HISTOGRAMS:
            found = self._histogram(points)
        elif self._special:
            found = _summary(points)
        else:
            found = moment.number((), first.value, 0, list(self._exemplars(points)))
        found.attributes.extend(moment.attributes(labels))
        found.start_time_unix_nano = nanoseconds(self._start_of(first))
        found.time_unix_nano = moment.now if first.at is None else _at(first.at)
        return found

    def _histogram(self, points: list[Point]) -> HistogramDataPoint:
        buckets = [point for point in points if point.suffix == "_bucket"]
        total = _ending(points, "_sum")
        return HistogramDataPoint(
            count=int(buckets[-1].value),
            sum=total,
            bucket_counts=counts([point.value for point in buckets]),
            explicit_bounds=[point.place.bound for point in buckets[:-1]],
            exemplars=list(self._exemplars(buckets)),
        )

    def _exemplars(self, points: Iterable[Point]) -> Iterator[Exemplar]:
        for point in points:
            if point.sample.exemplar is not None:
                try:
                    yield exemplar(exemplar_of(point, self._type))
                except Exception as error:
                    self._moment.on_error("render", error, point.sample.name)


def _at(at: tuple[int, int]) -> int:
    return max(at[0] * NANOSECONDS + at[1], 0)


def _ending(points: Iterable[Point], suffix: str) -> float | None:
    return next((point.value for point in points if point.suffix == suffix), None)


def _summary(points: list[Point]) -> SummaryDataPoint:
    quantiles = [
        SummaryDataPoint.ValueAtQuantile(quantile=point.place.bound, value=point.value)
        for point in points
        if not point.suffix
    ]
    return SummaryDataPoint(
        count=int(_ending(points, "_count") or 0),
        sum=_ending(points, "_sum") or 0.0,
        quantile_values=quantiles,
    )
