"""The data points of values in the store, which need no validation one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from operator import lt

from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    Exemplar,
    HistogramDataPoint,
    SummaryDataPoint,
)

from tachikoma_metrics.exposition import MergedMetric
from tachikoma_metrics.exposition.exemplars import valid
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.push.otlp_points import Moment, counts, exemplar, nanoseconds
from tachikoma_metrics.store import Family
from tachikoma_metrics.store.layout import GAUGE, HISTOGRAM, SUMMARY

_KEY = "otlp"


def stored_points(metric: MergedMetric, moment: Moment) -> list[object] | None:
    """Return the data points of the values in the store; None if they have to be validated."""
    family = metric.only_family
    if family is None:
        return None
    try:
        labels = _attributes(family, moment)
        _require_valid(family)
        return list(_points(family, labels, _starts(family), moment))
    except (ValueError, OverflowError) as error:
        pass_on(error)
        return None


def _attributes(family: Family, moment: Moment) -> Sequence[Sequence[KeyValue]]:
    """Return the attributes of each label set; made once for as long as those stay the same."""
    rendered = family.lines.rendered
    key = (_KEY, *moment.global_labels.items(), *moment.label_names.items())
    if key not in rendered:
        rendered[key] = [moment.attributes(dict(pairs)) for pairs in family.lines.pairs()]
    found: Sequence[Sequence[KeyValue]] = rendered[key]
    return found


def _require_valid(family: Family) -> None:
    values, declaration = family.values, family.declaration
    if declaration.type != GAUGE and values and not (min(values) >= 0 and sum(values) >= 0):
        raise ValueError("A total must be at least 0.")
    if declaration.type == HISTOGRAM:
        bounds = declaration.bounds
        if not all(map(lt, bounds, bounds[1:])) or bounds[-1:] != (math.inf,):
            raise ValueError("The bounds must increase to +Inf.")


def _starts(family: Family) -> Iterable[int]:
    if family.declaration.type == GAUGE:
        return repeat(0)
    return map(nanoseconds, family.starts)


def _points(
    family: Family,
    labels: Sequence[Sequence[KeyValue]],
    starts: Iterable[int],
    moment: Moment,
) -> Iterable[object]:
    width = len(family.lines.endings)
    exemplars = stored_exemplars(family, moment)
    for number, (own, start) in enumerate(zip(labels, starts, strict=False)):
        found = exemplars.get(number, ())
        values = family.values[number * width : (number + 1) * width]
        if family.declaration.type == HISTOGRAM:
            yield _histogram(family, values, own, start, found, moment)
        elif family.declaration.type == SUMMARY:
            yield _summary(family, values, own, start, moment)
        else:
            yield moment.number(own, values[0], start, found)


def _histogram(
    family: Family,
    values: Sequence[float],
    labels: Sequence[KeyValue],
    start: int,
    exemplars: Sequence[Exemplar],
    moment: Moment,
) -> HistogramDataPoint:
    buckets = len(family.declaration.bounds)
    ends = dict(zip(family.lines.endings[buckets:], values[buckets:], strict=True))
    return HistogramDataPoint(
        attributes=labels,
        start_time_unix_nano=start,
        time_unix_nano=moment.now,
        count=int(values[buckets - 1]),
        sum=ends.get(("_sum", None)),
        bucket_counts=counts(values[:buckets]),
        explicit_bounds=family.declaration.bounds[:-1],
        exemplars=exemplars,
    )


def _summary(
    family: Family,
    values: Sequence[float],
    labels: Sequence[KeyValue],
    start: int,
    moment: Moment,
) -> SummaryDataPoint:
    ends = dict(zip(family.lines.endings, values, strict=True))
    return SummaryDataPoint(
        attributes=labels,
        start_time_unix_nano=start,
        time_unix_nano=moment.now,
        count=int(ends.get(("_count", None), 0.0)),
        sum=ends.get(("_sum", None), 0.0),
    )


def stored_exemplars(family: Family, moment: Moment) -> Mapping[int, Sequence[Exemplar]]:
    """Return the valid exemplars of each label set, by its place."""
    width = len(family.lines.endings)
    found: dict[int, list[Exemplar]] = {}
    for line, stored in (family.exemplars.by_line if family.exemplars else {}).items():
        try:
            found.setdefault(line // width, []).append(exemplar(valid(stored)))
        except Exception as error:
            moment.on_error("render", error, family.declaration.name)
    return found
