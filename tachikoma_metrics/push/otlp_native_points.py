"""The data points of histograms with native buckets: exponential histograms.

The schema is the scale, and a bucket has the number before that which Prometheus gives it.
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#exponential-histograms
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    ExponentialHistogramDataPoint,
)

from tachikoma_metrics.exposition import MergedMetric
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.push.otlp_points import Moment, nanoseconds
from tachikoma_metrics.push.otlp_stored_points import stored_exemplars
from tachikoma_metrics.store.families import Family, Pairs
from tachikoma_metrics.store.layout import HISTOGRAM
from tachikoma_metrics.store.native_histograms import Buckets, NativeHistogram

_RENDERED = "otlp"


class _Classic(ValueError):
    """Raised for a metric of which some observations are in classic buckets alone."""


def native_points(metric: MergedMetric, moment: Moment) -> list[object] | None:
    """Return the data points of a histogram; None if not all of it is in native buckets.

    A metric has one type, so that all of its label sets have either kind of buckets.
    """
    if metric.type != HISTOGRAM or not any(family.natives for family in metric.families):
        return None
    try:
        stored = list(_stored(metric, moment))
        return [*stored, *_zeros(metric, moment)]
    except (ValueError, OverflowError) as error:
        pass_on(error)
        return None


def _stored(metric: MergedMetric, moment: Moment) -> Iterator[ExponentialHistogramDataPoint]:
    starts: dict[Pairs, float] = {}
    exemplars: dict[Pairs, list[Exemplar]] = {}
    for family in metric.families:
        found = stored_exemplars(family, moment)
        counted = zip(family.lines.pairs(), family.starts, _counts(family), strict=True)
        for place, (pairs, start, count) in enumerate(counted):
            native = metric.native_of(frozenset(pairs))
            if native is None or native[0].count(native[1]) == 0 < count:
                raise _Classic(metric.name)
            starts[pairs] = min(start, starts.get(pairs, math.inf))
            exemplars.setdefault(pairs, []).extend(found.get(place, ()))
    for pairs, start in starts.items():
        native = metric.native_of(frozenset(pairs))
        if native is not None:
            point = _point(*native)
            point.attributes.extend(moment.attributes(dict(pairs)))
            point.start_time_unix_nano = nanoseconds(start)
            point.time_unix_nano = moment.now
            point.exemplars.extend(exemplars[pairs])
            yield point


def _counts(family: Family) -> list[float]:
    """Return the number of observations of each label set, in classic buckets."""
    width = len(family.lines.endings)
    place = family.lines.endings.index(("_count", None))
    return list(family.values[place::width])


def _zeros(metric: MergedMetric, moment: Moment) -> Iterator[ExponentialHistogramDataPoint]:
    """Yield the label sets that are not in the store, of which nothing was counted."""
    for sample in metric.extra:
        if sample.name.endswith("_count"):
            native = metric.native_of(frozenset(sample.labels.items()))
            if native is None or sample.value:
                raise _Classic(metric.name)
            point = _point(*native)
            point.attributes.extend(moment.attributes(sample.labels))
            point.time_unix_nano = moment.now
            yield point


def _point(histogram: NativeHistogram, total: float) -> ExponentialHistogramDataPoint:
    known: ExponentialHistogramDataPoint | None = histogram.rendered.get(_RENDERED)
    if known is None:
        known = histogram.rendered[_RENDERED] = ExponentialHistogramDataPoint(
            scale=histogram.schema,
            zero_threshold=histogram.zero_threshold,
            zero_count=histogram.zero_count,
            positive=_buckets(histogram.positive),
            negative=_buckets(histogram.negative),
        )
    point = ExponentialHistogramDataPoint()
    point.CopyFrom(known)
    point.count, point.sum = histogram.count(total), total
    return point


def _buckets(buckets: Buckets) -> ExponentialHistogramDataPoint.Buckets:
    counts = buckets.by_index()
    if not counts:
        return ExponentialHistogramDataPoint.Buckets()
    first, last = min(counts), max(counts)
    return ExponentialHistogramDataPoint.Buckets(
        offset=first - 1,
        bucket_counts=[counts.get(index, 0) for index in range(first, last + 1)],
    )
