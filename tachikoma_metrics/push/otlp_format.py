"""Render metric families as OTLP: one request of cumulative values, with their starts.

Names are those of text 0.0.4, so that what a receiver makes of them is what a scrape would be. A
sample that cannot be sent is omitted alone.

https://opentelemetry.io/docs/specs/otel/metrics/data-model/
https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AGGREGATION_TEMPORALITY_CUMULATIVE,
    ExponentialHistogram,
    Gauge,
    Histogram,
    Metric,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
    Summary,
)
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from prometheus_client import Metric as Family

from tachikoma_metrics.exposition import Format, MergedMetric, OnError
from tachikoma_metrics.exposition.names import TEXT_SUFFIXES, metric_name
from tachikoma_metrics.exposition.points import Reader
from tachikoma_metrics.push.otlp_native_points import native_points
from tachikoma_metrics.push.otlp_points import Moment, Points, attributes
from tachikoma_metrics.push.otlp_stored_points import stored_points

_UNITS = {"seconds": "s", "bytes": "By"}
"""UCUM's units, by the last word of a name. https://unitsofmeasure.org/ucum"""


@dataclass(frozen=True, eq=False)
class OtlpFormat(Format[bytes]):
    """The message ``ExportMetricsServiceRequest``.

    ``resource`` are the attributes of the resource, and ``now`` returns the time of the values,
    in Unix nanoseconds. ``names`` are the metrics and labels that have other names; metrics that
    are in ``omitted`` are left out.
    """

    resource: Mapping[str, str]
    now: Callable[[], int]
    names: Mapping[str, Naming] = field(default_factory=dict)
    omitted: frozenset[str] = frozenset()

    content_type = "application/x-protobuf"

    def render(
        self,
        families: Iterable[Family],
        on_error: OnError,
        global_labels: Mapping[str, str],
    ) -> bytes:
        """Return the request. All values are read before their time is."""
        found = list(families)
        now = self.now()
        metrics: list[Metric] = []
        for family in found:
            try:
                metrics += self._metrics(family, Moment(now, global_labels, on_error))
            except Exception as error:
                on_error("render", error, family.name)
        return self._request(metrics)

    def alone(self, name: str, documentation: str, value: float) -> bytes:
        """Return a request with one counter of errors, those of exposition."""
        moment = Moment(self.now(), {}, lambda *_: None)
        point = moment.number(attributes({"source": "page"}), value, 0)
        metric = Metric(name=f"{name}_total", description=documentation, sum=_sum([point]))
        return self._request([metric])

    def _request(self, metrics: list[Metric]) -> bytes:
        resource = Resource(attributes=attributes(self.resource))
        request = ExportMetricsServiceRequest(
            resource_metrics=[
                # Some receivers make labels of a scope, and a scrape has none: with each version of
                # the package, all series would be others.
                ResourceMetrics(resource=resource, scope_metrics=[ScopeMetrics(metrics=metrics)])
            ]
        )
        return bytes(request.SerializeToString())

    def _metrics(self, family: Family, moment: Moment) -> Iterator[Metric]:
        name = metric_name(family.name + TEXT_SUFFIXES.get(family.type, ""))
        if name in self.omitted:
            return
        naming = self.names.get(name)
        if naming is not None:
            name = naming.name
            moment = dataclasses.replace(moment, label_names=naming.labels)
        native = native_points(family, moment) if isinstance(family, MergedMetric) else None
        if native is not None:
            histogram = ExponentialHistogram(
                data_points=native,  # type: ignore[arg-type]  # Those of such histograms.
                aggregation_temporality=AGGREGATION_TEMPORALITY_CUMULATIVE,
            )
            yield Metric(
                name=name,
                description=family.documentation,
                unit=_unit(name),
                exponential_histogram=histogram,
            )
            return
        for suffix, points in _points(family, moment):
            metric = Metric(name=name + suffix, description=family.documentation, unit=_unit(name))
            _fill(metric, family.type, points)
            yield metric


@dataclass(frozen=True)
class Naming:
    """Another name of a metric, and of its labels."""

    name: str
    labels: Mapping[str, str]


def _points(family: Family, moment: Moment) -> Iterator[tuple[str, list[object]]]:
    """Yield the points of a family, by what is appended to its name."""
    if isinstance(family, MergedMetric):
        stored = stored_points(family, moment)
        if stored is not None:
            yield "", [*stored, *(p for _, ps in _read(family, moment, family.extra) for p in ps)]
            return
    yield from _read(family, moment, family.samples)


def _read(
    family: Family, moment: Moment, samples: Iterable[object]
) -> Iterator[tuple[str, list[object]]]:
    reader = Reader(family, moment.global_labels, moment.on_error, needs_sum=False)
    points = Points(family.type, moment, reader.start_of)
    if family.type == "gaugehistogram":
        # OTLP has histograms of events alone: it is sent as the gauges that it consists of.
        apart: dict[str, list[object]] = {}
        for point in reader.points(samples):  # type: ignore[arg-type]  # Validated there.
            apart.setdefault(point.suffix, []).extend(points.of([point]))
        yield from apart.items()
        return
    yield "", list(points.of(reader.points(samples)))  # type: ignore[arg-type]  # As above.


def _fill(metric: Metric, type: str, points: list[object]) -> None:
    """Set the data of a metric whose family is of this type."""
    if type == "counter":
        metric.sum.CopyFrom(_sum(points))
    elif type == "histogram":
        metric.histogram.CopyFrom(
            Histogram(
                data_points=points,  # type: ignore[arg-type]  # Those of histograms.
                aggregation_temporality=AGGREGATION_TEMPORALITY_CUMULATIVE,
            )
        )
    elif type == "summary":
        metric.summary.CopyFrom(Summary(data_points=points))  # type: ignore[arg-type]  # Likewise.
    else:
        metric.gauge.CopyFrom(Gauge(data_points=points))  # type: ignore[arg-type]  # Likewise.


def _sum(points: list[object]) -> Sum:
    return Sum(
        data_points=points,  # type: ignore[arg-type]  # Those of numbers.
        aggregation_temporality=AGGREGATION_TEMPORALITY_CUMULATIVE,
        is_monotonic=True,
    )


def _unit(name: str) -> str:
    last = name.replace(".", "_").removesuffix("_total").rpartition("_")[2]
    return _UNITS.get(last, "s" if name.endswith(".duration") else "")
