"""Exemplars in protobuf, as Google's library decodes them."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client, override_settings
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric
from prometheus_client.samples import Exemplar, Sample

from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition import PROTOBUF, gather
from tests.exemplars import LABELS, TRACE, TRACEPARENT, exemplars_of
from tests.exposition.collectors import Yielding
from tests.exposition.decoded import decode

AUTO = {"EXEMPLARS": "auto"}


def messages_of(name: str, exposition: bytes = b"") -> list[Any]:
    """Return the metrics of a family."""
    families = decode(exposition or METRICS.expose(PROTOBUF)).families
    return [metric for family in families if family.name == name for metric in family.metric]


def labels_of(exemplar: Any) -> dict[str, str]:
    return {pair.name: pair.value for pair in exemplar.label}


@override_settings(TACHIKOMA_METRICS=AUTO)
def test_they_are_those_of_openmetrics(client: Client):
    client.get("/hello/", headers={"traceparent": TRACEPARENT})
    client.get("/teapot/")
    exposition = METRICS.expose(PROTOBUF)

    [timed] = exemplars_of("http_request_duration_seconds_bucket")
    found = [
        (bucket.upper_bound, bucket.exemplar)
        for metric in messages_of("http_request_duration_seconds", exposition)
        for bucket in metric.histogram.bucket
        if bucket.HasField("exemplar")
    ]
    assert len(found) == 1
    bound, exemplar = found[0]
    assert bound == float(timed.sample["le"])
    assert labels_of(exemplar) == LABELS
    assert exemplar.value == timed.value
    assert exemplar.timestamp.ToMicroseconds() == round(timed.timestamp * 1e6)

    counted = [
        metric.counter
        for metric in messages_of("http_requests_total", exposition)
        if metric.counter.HasField("exemplar")
    ]
    assert [labels_of(counter.exemplar) for counter in counted] == [LABELS]
    assert counted[0].value == 1
    assert counted[0].HasField("start_timestamp")


def test_everything_else_is_as_without():
    name = "backend_request_duration_seconds"
    for backend in ("anthropic", "openai", "other"):
        child = METRICS.backend_request_duration_seconds.labels(backend)
        for number in range(400):
            child.observe(number / 10, {"trace_id": TRACE} if backend == "openai" else None)

    messages = messages_of(name)
    assert [metric.label[0].value for metric in messages] == ["anthropic", "openai", "other"]
    buckets = [
        [(one.upper_bound, one.cumulative_count) for one in metric.histogram.bucket]
        for metric in messages
    ]
    assert buckets[0] == buckets[1] == buckets[2]
    assert [len({*map(_has_exemplar, one.histogram.bucket)}) for one in messages] == [1, 1, 1]
    assert {*map(_has_exemplar, messages[1].histogram.bucket)} == {True}
    starts = {metric.histogram.start_timestamp.ToMilliseconds() for metric in messages}
    assert 0 not in starts


def _has_exemplar(bucket: Any) -> bool:
    return bool(bucket.HasField("exemplar"))


def exposed(*samples: Sample, type: str) -> tuple[list[Any], list[str]]:
    """Return the messages of a collector's family, and the sources of errors."""
    family = Metric("own", "Help.", type)
    family.samples = list(samples)
    registry = CollectorRegistry()
    registry.register(Yielding(family))
    errors: list[str] = []

    def note(source: str, error: Exception, about: object) -> None:
        errors.append(source)

    content = PROTOBUF.render(gather(registry, note), note, {})
    [family] = decode(content).families
    return list(family.metric), errors


def test_a_collector_may_have_its_own():
    exemplar = Exemplar({"trace_id": "a"}, 0.5)
    histogram, errors = exposed(
        Sample("own_bucket", {"le": "1"}, 1, None, exemplar),
        Sample("own_bucket", {"le": "+Inf"}, 2, None, None),
        type="histogram",
    )

    assert errors == []
    first, last = histogram[0].histogram.bucket
    assert labels_of(first.exemplar) == {"trace_id": "a"}
    assert not first.exemplar.HasField("timestamp")
    assert not last.HasField("exemplar")


@pytest.mark.parametrize(
    ("type", "sample"),
    [
        ("counter", Sample("own_total", {}, 1, None, Exemplar({"trace_id": "a" * 200}, 1))),
        ("counter", Sample("own_total", {}, 1, None, Exemplar({"__name__": "a"}, 1))),
        ("counter", Sample("own_total", {}, 1, None, Exemplar(None, 1))),  # type: ignore[arg-type]
        ("counter", Sample("own_total", {}, 1, None, Exemplar({"trace_id": "a"}, 1, -5))),
        ("gauge", Sample("own", {}, 1, None, Exemplar({"trace_id": "a"}, 1))),
    ],
)
def test_an_invalid_one_is_omitted_alone(type: str, sample: Sample):
    [message], errors = exposed(sample, type=type)

    assert errors == ["render"]
    assert not message.counter.HasField("exemplar")
    assert (message.counter.value or message.gauge.value) == 1
