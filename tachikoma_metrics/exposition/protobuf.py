"""Render metric families as Protocol Buffers, each message after its length.

Prometheus asks for it if it is to scrape native histograms or start timestamps. Names are those
of text 0.0.4.

https://prometheus.io/docs/instrumenting/exposition_formats/#protobuf-format
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from prometheus_client import Metric

from tachikoma_metrics.exposition.exemplars import valid
from tachikoma_metrics.exposition.families import OnError
from tachikoma_metrics.exposition.fields import Field
from tachikoma_metrics.exposition.formats import Format
from tachikoma_metrics.exposition.merged import MergedMetric
from tachikoma_metrics.exposition.message_exemplars import Added, with_exemplars
from tachikoma_metrics.exposition.message_templates import quick_messages
from tachikoma_metrics.exposition.messages import Messages, exemplar_field, label_fields
from tachikoma_metrics.exposition.names import TEXT_SUFFIXES, WITHOUT_UNIT, metric_name
from tachikoma_metrics.exposition.points import Reader
from tachikoma_metrics.exposition.wire import delimited, double, integer, message, text
from tachikoma_metrics.store.families import Family, Pairs
from tachikoma_metrics.store.layout import HISTOGRAM

_TYPES = {
    "counter": 0,
    "gauge": 1,
    "info": 1,
    "stateset": 1,
    "summary": 2,
    "unknown": 3,
    "histogram": 4,
    "gaugehistogram": 5,
}


class ProtobufFormat(Format[bytes]):
    """The format ``io.prometheus.client.MetricFamily``, delimited.

    Samples named ``_created`` become the start timestamps of their label sets.
    """

    content_type = (
        "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; "
        "encoding=delimited"
    )

    def render(
        self,
        families: Iterable[Metric],
        on_error: OnError,
        global_labels: Mapping[str, str],
    ) -> bytes:
        """Return the exposition. A family without samples is omitted: scrapers ignore it."""
        parts = []
        for metric in families:
            try:
                # As text requires it, the head of a family without samples is valid as well.
                head = _head(metric.name, metric.documentation, metric.type, metric.unit)
                messages = _messages(metric, on_error, global_labels)
            except Exception as error:
                on_error("render", error, metric.name)
                continue
            if messages:
                parts.append(delimited(head + messages))
        return b"".join(parts)

    def alone(self, name: str, documentation: str, value: float) -> bytes:
        """Return an exposition of one counter of errors, those of exposition."""
        source = label_fields((("source", "page"),))
        metric = source + message(Field.COUNTER, double(Field.VALUE, value))
        return delimited(_head(name, documentation, "counter", "") + message(Field.METRIC, metric))


PROTOBUF = ProtobufFormat()


def _head(name: str, documentation: str, type: str, unit: object) -> bytes:
    """Return the fields of a family's message but its metrics."""
    fields = [
        text(Field.NAME, metric_name(name + TEXT_SUFFIXES.get(type, ""))),
        text(Field.HELP, documentation),
        integer(Field.TYPE, _TYPES[type]),
    ]
    is_unit = isinstance(unit, str) and unit and metric_name(name).endswith(f"_{unit}")
    if is_unit and type not in WITHOUT_UNIT:
        fields.append(text(Field.UNIT, str(unit)))
    return b"".join(fields)


def _messages(metric: Metric, on_error: OnError, global_labels: Mapping[str, str]) -> bytes:
    """Return the metrics of a family's message."""
    reader = Reader(metric, global_labels, on_error, needs_sum=False)
    messages = Messages(metric, global_labels, on_error, reader.start_of)
    if isinstance(metric, MergedMetric):
        quick = _quick(metric, on_error, global_labels)
        if quick is not None:
            return b"".join([quick, *messages.of(reader.points(metric.extra))])
    return b"".join(messages.of(reader.points(metric.samples)))


def _quick(
    metric: MergedMetric, on_error: OnError, global_labels: Mapping[str, str]
) -> bytes | None:
    family = metric.only_family
    if family is None:
        return None

    def fields(pairs: Pairs) -> bytes:
        labels = {**global_labels, **dict(pairs)}
        if "le" in labels and metric.type == HISTOGRAM:
            raise ValueError("A label named `le` takes the place of the bounds.")
        return label_fields(tuple(labels.items()))

    written = quick_messages(family, fields, (PROTOBUF, *global_labels.items()))
    if written is None or family.exemplars is None:
        return written
    return with_exemplars(written, _added(metric, family, on_error))


def _added(metric: MergedMetric, family: Family, on_error: OnError) -> Added:
    """Return the exemplars of a family as fields, without those that are invalid."""
    added: dict[int, dict[int, bytes]] = {}
    lines = len(family.lines.endings)
    for line, exemplar in (family.exemplars.by_line if family.exemplars else {}).items():
        try:
            field = exemplar_field(valid(exemplar), metric.type)
            added.setdefault(line // lines, {})[line % lines] = field
        except Exception as error:
            on_error("render", error, metric.name)
    return added
