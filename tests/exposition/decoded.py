"""Expositions in protobuf, as Google's library decodes them and Prometheus reads them.

The messages are those of
https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, timestamp_pb2

from tachikoma_metrics.exposition import number

PACKAGE = "io.prometheus.client"

# By message: number, name, and type of each field; `*` is for repeated ones.
FIELDS = {
    "LabelPair": "1 name string, 2 value string",
    "Gauge": "1 value double",
    "Counter": "1 value double, 2 exemplar Exemplar, 3 start_timestamp Timestamp",
    "Quantile": "1 quantile double, 2 value double",
    "Summary": (
        "1 sample_count uint64, 2 sample_sum double, 3 quantile Quantile*, "
        "4 start_timestamp Timestamp"
    ),
    "Untyped": "1 value double",
    "Histogram": (
        "1 sample_count uint64, 4 sample_count_float double, 2 sample_sum double, "
        "3 bucket Bucket*, 15 start_timestamp Timestamp, 5 schema sint32, "
        "6 zero_threshold double, 7 zero_count uint64, 8 zero_count_float double, "
        "9 negative_span BucketSpan*, 10 negative_delta sint64*, 11 negative_count double*, "
        "12 positive_span BucketSpan*, 13 positive_delta sint64*, 14 positive_count double*, "
        "16 exemplars Exemplar*"
    ),
    "Bucket": (
        "1 cumulative_count uint64, 4 cumulative_count_float double, 2 upper_bound double, "
        "3 exemplar Exemplar"
    ),
    "BucketSpan": "1 offset sint32, 2 length uint32",
    "Exemplar": "1 label LabelPair*, 2 value double, 3 timestamp Timestamp",
    "Metric": (
        "1 label LabelPair*, 2 gauge Gauge, 3 counter Counter, 4 summary Summary, "
        "5 untyped Untyped, 7 histogram Histogram, 6 timestamp_ms int64"
    ),
    "MetricFamily": "1 name string, 2 help string, 3 type int32, 4 metric Metric*, 5 unit string",
}
TYPES = ["counter", "gauge", "summary", "untyped", "histogram", "gaugehistogram"]
SCALARS = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "double": descriptor_pb2.FieldDescriptorProto.TYPE_DOUBLE,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "uint32": descriptor_pb2.FieldDescriptorProto.TYPE_UINT32,
    "uint64": descriptor_pb2.FieldDescriptorProto.TYPE_UINT64,
    "sint32": descriptor_pb2.FieldDescriptorProto.TYPE_SINT32,
    "sint64": descriptor_pb2.FieldDescriptorProto.TYPE_SINT64,
}


def _family_class() -> Any:
    file = descriptor_pb2.FileDescriptorProto(
        name="metrics.proto",
        package=PACKAGE,
        syntax="proto2",
        dependency=["google/protobuf/timestamp.proto"],
    )
    for name, fields in FIELDS.items():
        message = file.message_type.add(name=name)
        for described in fields.split(", "):
            place, field_name, kind = described.split(" ")
            declared = message.field.add(name=field_name, number=int(place))
            declared.label = (
                declared.LABEL_REPEATED if kind.endswith("*") else declared.LABEL_OPTIONAL
            )
            kind = kind.rstrip("*")
            if kind in SCALARS:
                declared.type = SCALARS[kind]
                # Parsers accept both; this is the shorter one.
                declared.options.packed = kind == "sint64" and described.endswith("*")
            else:
                declared.type = declared.TYPE_MESSAGE
                package = "google.protobuf" if kind == "Timestamp" else PACKAGE
                declared.type_name = f".{package}.{kind}"
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.MetricFamily"))


MetricFamily = _family_class()

Key = tuple[str, frozenset[tuple[str, str]], "int | None"]
"""Name and labels of a sample, and its time in milliseconds."""


@dataclass(frozen=True)
class Native:
    """A native histogram; ``buckets`` are counts by index, ``negative`` those below zero."""

    schema: int
    zero_threshold: float
    count: int
    sum: float
    zero_count: int
    buckets: dict[int, int]
    negative: dict[int, int]


@dataclass
class Decoded:
    """The samples of an exposition, and since when they were counted, in Unix seconds."""

    families: list[Any]
    samples: dict[Key, float] = field(default_factory=dict)
    starts: dict[tuple[str, frozenset[tuple[str, str]]], float] = field(default_factory=dict)
    natives: dict[tuple[str, frozenset[tuple[str, str]]], Native] = field(default_factory=dict)

    def native(self, name: str, **labels: str) -> Native:
        """Return the native histogram that has exactly these labels."""
        return self.natives[name, frozenset(labels.items())]

    def family(self, name: str) -> Any:
        """Return the message of the family of this name."""
        (found,) = [one for one in self.families if one.name == name]
        return found

    def value(self, name: str, **labels: str) -> float:
        """Return the value of the sample without a time that has exactly these labels."""
        return self.samples[name, frozenset(labels.items()), None]

    def start(self, name: str, **labels: str) -> float | None:
        """Return the start of what has exactly these labels in the family of this name."""
        return self.starts.get((name, frozenset(labels.items())))


def decode(exposition: bytes) -> Decoded:
    """Decode an exposition; raise ``ValueError`` for one that any scraper could refuse."""
    decoded = Decoded(list(_families(exposition)))
    names = [family.name for family in decoded.families]
    if len(set(names)) < len(names):
        raise ValueError("A family must have one message.")
    for family in decoded.families:
        if not family.metric:
            raise ValueError(f"{family.name} must have metrics.")
        for metric in family.metric:
            _read(family, metric, decoded)
    return decoded


def _families(exposition: bytes) -> Iterator[Any]:
    at = 0
    while at < len(exposition):
        length = shift = 0
        while True:
            byte = exposition[at]
            length |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                break
        family = MetricFamily.FromString(exposition[at : at + length])
        at += length
        size = family.ByteSize()
        family.DiscardUnknownFields()
        if at > len(exposition) or family.ByteSize() != size:
            raise ValueError("A message must be as long as it says, and have known fields only.")
        yield family


def _read(family: Any, metric: Any, decoded: Decoded) -> None:
    labels = [(pair.name, pair.value) for pair in metric.label]
    if len(dict(labels)) < len(labels) or labels != sorted(labels):
        raise ValueError(f"Labels must be sorted, each once; got {labels}.")
    type = TYPES[family.type]
    member = "histogram" if type == "gaugehistogram" else type
    value = getattr(metric, member)
    if not metric.HasField(member):
        raise ValueError(f"{family.name} must have the value of its type.")
    stamp = metric.timestamp_ms if metric.HasField("timestamp_ms") else None
    for suffix, more, number_ in _values(value, type):
        key = (family.name + suffix, frozenset([*labels, *more]), stamp)
        if key in decoded.samples:
            raise ValueError(f"{key} must not be repeated.")
        decoded.samples[key] = number_
    if type == "histogram" and value.HasField("schema"):
        decoded.natives[family.name, frozenset(labels)] = _native(value)
    if "start_timestamp" in value.DESCRIPTOR.fields_by_name and value.HasField("start_timestamp"):
        start = value.start_timestamp
        decoded.starts[family.name, frozenset(labels)] = start.seconds + start.nanos / 1e9


def _native(value: Any) -> Native:
    positive = _counts(value.positive_span, value.positive_delta)
    negative = _counts(value.negative_span, value.negative_delta)
    in_buckets = value.zero_count + sum(positive.values()) + sum(negative.values())
    # As Prometheus requires it:
    # https://github.com/prometheus/prometheus/blob/main/model/histogram/histogram.go
    if value.sample_count < in_buckets or (
        value.sample_count != in_buckets and not math.isnan(value.sample_sum)
    ):
        raise ValueError(f"The count must be that of all native buckets; got {value}.")
    return Native(
        value.schema,
        value.zero_threshold,
        value.sample_count,
        value.sample_sum,
        value.zero_count,
        {index: count for index, count in positive.items() if count},
        {index: count for index, count in negative.items() if count},
    )


def _counts(spans: Any, deltas: Any) -> dict[int, int]:
    indexes: list[int] = []
    end = 0
    for place, span in enumerate(spans):
        if place and span.offset < 0:
            raise ValueError("Spans must not overlap.")
        indexes += range(end + span.offset, end + span.offset + span.length)
        end += span.offset + span.length
    counts = dict(zip(indexes, itertools.accumulate(deltas), strict=True))
    if min(counts.values(), default=0) < 0:
        raise ValueError(f"Counts must be at least 0; got {counts}.")
    return counts


def _values(value: Any, type: str) -> Iterator[tuple[str, list[tuple[str, str]], float]]:
    """Yield the samples of a metric as suffix, further labels, and value."""
    if type not in ("histogram", "gaugehistogram", "summary"):
        yield "", [], value.value
        return
    if type == "summary":
        for one in value.quantile:
            yield "", [("quantile", number(one.quantile))], one.value
    else:
        bounds = [one.upper_bound for one in value.bucket]
        counts = [one.cumulative_count for one in value.bucket]
        if bounds != sorted(set(bounds)) or counts != sorted(counts) or bounds[-1:] != [math.inf]:
            raise ValueError(f"Buckets must increase to +Inf; got {value}.")
        is_native = type == "histogram" and value.HasField("schema")
        if value.sample_count != counts[-1] and not is_native:
            raise ValueError(f"The count must be that of the last bucket; got {value}.")
        for one in value.bucket:
            yield "_bucket", [("le", number(one.upper_bound))], one.cumulative_count
    prefix = "_g" if type == "gaugehistogram" else "_"
    yield f"{prefix}count", [], value.sample_count
    yield f"{prefix}sum", [], value.sample_sum
