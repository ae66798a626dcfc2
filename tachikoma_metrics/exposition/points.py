"""The valid samples of a metric family, in a valid order.

A strict parser rejects a whole exposition for one invalid sample. So each invalid sample is
omitted, together with those that depend on it, and reported as an error.

https://prometheus.io/docs/specs/om/open_metrics_spec/#metric-types
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.samples import Sample

from tachikoma_metrics.exposition.families import OnError
from tachikoma_metrics.exposition.names import (
    CREATED,
    HISTOGRAMS,
    WITH_CREATED,
    metric_name,
)
from tachikoma_metrics.exposition.syntax import label_pairs, number, timestamp_text

_NEVER_NEGATIVE = frozenset({"_total", "_sum", "_count", "_bucket", "_gcount"})
_NEVER_NAN = _NEVER_NEGATIVE | {"_gsum"}
_WHOLE = frozenset({"_bucket", "_count", "_gcount"})

Instant = tuple[int, int]
"""Seconds and nanoseconds, as in the digits before and after the decimal point."""


class Place(NamedTuple):
    """Identify a sample by its written series, and by the group of samples that it belongs to.

    ``bound`` is the upper bound of a bucket, or the quantile.
    """

    series: str
    group: str
    bound: float


class Point(NamedTuple):
    """A valid sample; ``suffix`` is the part of its name after that of the family."""

    sample: Sample
    suffix: str
    place: Place
    value: float
    stamp: str
    at: Instant | None


class _Twice(ValueError):
    """Raised for a sample that the family already has."""


class Reader:
    """Validate the samples of one family, and add ``global_labels`` to them.

    ``needs_sum`` omits the count of a histogram that has no sum, as OpenMetrics requires.
    """

    def __init__(
        self,
        metric: Metric,
        global_labels: Mapping[str, str],
        on_error: OnError,
        *,
        needs_sum: bool,
    ) -> None:
        self._type = metric.type
        self._name = metric_name(metric.name)
        self._global_labels = tuple(global_labels.items())
        self._on_error = on_error
        self._needs_sum = needs_sum
        self._is_free = metric.type in ("gauge", "unknown")
        self._starts: dict[str, float] = {}

    def start_of(self, point: Point) -> float | None:
        """Return since when the group of a point was counted, if a sample ``_created`` says it.

        Call it for points that were yielded: all samples are read by then.
        """
        return self._starts.get(point.place.group)

    def points(self, samples: Iterable[Sample]) -> Iterator[Point]:
        """Yield the samples that can be written, those of a group one after the other."""
        groups: dict[str, list[Point]] = {}
        seen: set[tuple[str, Instant | None]] = set()
        for sample in samples:
            try:
                point = self._point(sample)
                key = (point.place.series, point.at)
                if key in seen:
                    raise _Twice(f"{point.place.series} is collected twice.")
                if point.suffix == CREATED and self._type in WITH_CREATED:
                    self._starts[point.place.group] = point.value
                    continue
                group = groups.setdefault(point.place.group, [])
                if group:
                    self._require_later(point, group[-1])
                seen.add(key)
                group.append(point)
            except _Twice as error:
                self._on_error("duplicate", error, sample.name)
            except Exception as error:
                self._on_error("render", error, getattr(sample, "name", self._name))
        for group in groups.values():
            yield from self._checked(group)

    def _require_later(self, point: Point, last: Point) -> None:
        """Raise ``ValueError`` unless the samples of a group all have times, in order, or none."""
        if (point.at is None) != (last.at is None):
            raise ValueError(
                f"{point.place.series} must have a timestamp like the others, or none."
            )
        is_older = point.at is not None and last.at is not None and point.at < last.at
        if is_older and self._type != "info":
            raise ValueError(f"{point.place.series} must not be older than the sample before it.")

    def _point(self, sample: Sample) -> Point:
        name = metric_name(sample.name)
        if name == self._name:
            suffix = ""
        elif name.startswith(self._name):
            suffix = name[len(self._name) :]
        else:
            raise ValueError(
                f"The name of a sample of {self._name} must begin with it; got {name!r}."
            )
        labels = tuple([(key, str(value)) for key, value in sample.labels.items()])
        place = _place(name, labels, self._global_labels, self._special(suffix), self._type)
        stamp = "" if sample.timestamp is None else timestamp_text(sample.timestamp)
        at = _instant(stamp) if stamp else None
        return Point(sample, suffix, place, self._value(sample, suffix, place), stamp, at)

    def _special(self, suffix: str) -> str:
        """Return the label that distinguishes the samples of a group, if there is one."""
        if self._is_free:
            return ""
        if suffix == "_bucket" and self._type in HISTOGRAMS:
            return "le"
        if self._type == "summary" and not suffix:
            return "quantile"
        return self._name if self._type == "stateset" else ""

    def _value(self, sample: Sample, suffix: str, place: Place) -> float:
        value = float(sample.value)
        if self._is_free:
            return value
        is_quantile = self._type == "summary" and not suffix
        is_wrong = (
            (suffix in _NEVER_NEGATIVE and value < 0)
            or (suffix in _NEVER_NAN and math.isnan(value))
            or (suffix in _WHOLE and not value.is_integer())
            or (self._type == "info" and value != 1)
            or (self._type == "stateset" and value not in (0, 1))
            or (is_quantile and (value < 0 or not 0 <= place.bound <= 1))
        )
        if is_wrong:
            raise ValueError(f"{place.series} of a {self._type} must not be {value}.")
        return value

    # --- histograms -------------------------------------------------------------

    def _checked(self, points: list[Point]) -> Iterable[Point]:
        if self._type not in HISTOGRAMS:
            return points
        runs = groupby(points, key=lambda point: point.at)
        return [point for _, run in runs for point in self._histogram([*run])]

    def _histogram(self, points: list[Point]) -> Iterator[Point]:
        """Yield what is valid of one histogram at one time: nothing without a bucket of `+Inf`."""
        buckets = self._buckets(points)
        if not buckets or buckets[-1].place.bound != math.inf:
            self._leave_out(points[0], "has no bucket of `+Inf` that fits the others")
            return
        ends = self._ends(points, buckets)
        kept = {id(point) for point in (*buckets, *ends)}
        yield from (point for point in points if id(point) in kept)

    def _buckets(self, points: list[Point]) -> list[Point]:
        """Return the buckets whose bounds increase, and whose values do not decrease."""
        kept: list[Point] = []
        for point in points:
            if point.suffix == "_bucket":
                if _rises(point, kept[-1:]):
                    kept.append(point)
                else:
                    self._leave_out(
                        point, "must have a higher bound and no lower value than the bucket before"
                    )
        return kept

    def _ends(self, points: list[Point], buckets: list[Point]) -> list[Point]:
        count = next((one for one in points if one.suffix in ("_count", "_gcount")), None)
        total = next((one for one in points if one.suffix in ("_sum", "_gsum")), None)
        has_negative = buckets[0].place.bound < 0
        if count is not None and count.value != buckets[-1].value:
            self._leave_out(count, "must equal the bucket of `+Inf`")
            count = None
        if total is not None and _contradicts(total, has_negative):
            self._leave_out(total, "does not fit the bounds")
            total = None
        if total is not None and count is None:
            self._leave_out(total, "must have a count beside it")
            total = None
        if total is None and self._needs_sum:
            count = None
        return [one for one in (count, total) if one is not None]

    def _leave_out(self, point: Point, why: str) -> None:
        self._on_error("render", ValueError(f"{point.place.series} {why}."), point.sample.name)


def _rises(point: Point, last: list[Point]) -> bool:
    bound = point.place.bound
    if math.isnan(bound):
        return False
    return all(bound > one.place.bound and point.value >= one.value for one in last)


def _contradicts(total: Point, has_negative: bool) -> bool:
    """Return whether a sum does not fit the bounds.

    If observations may be negative, the sum may decrease, and is no counter; otherwise it cannot
    be negative.
    """
    return has_negative if total.suffix == "_sum" else total.value < 0 and not has_negative


@lru_cache(16384)
def _place(
    name: str,
    labels: tuple[tuple[str, str], ...],
    global_labels: tuple[tuple[str, str], ...],
    special: str,
    type: str,
) -> Place:
    merged = {**dict(global_labels), **dict(labels)}
    bound = _bound(merged, special) if special in ("le", "quantile") else math.nan
    pairs = label_pairs(merged)
    series = f"{name}{{{','.join(pairs.values())}}}" if pairs else name
    if special and special not in pairs:
        raise ValueError(f"{series} must have the label {special!r}.")
    # It is unknown which labels of an info identify its subject: its samples are one group.
    others = [pair for key, pair in pairs.items() if key != special and type != "info"]
    return Place(series, ",".join(others), bound)


def _bound(labels: dict[str, str], name: str) -> float:
    """Return the number in a label, and normalise an infinite one in ``labels``."""
    bound = float(labels[name])
    if math.isinf(bound):
        labels[name] = number(bound)
    return bound


def _instant(stamp: str) -> Instant:
    seconds, _, fraction = stamp.partition(".")
    nanoseconds = int(fraction[:9].ljust(9, "0"))
    return int(seconds), -nanoseconds if int(seconds) < 0 else nanoseconds
