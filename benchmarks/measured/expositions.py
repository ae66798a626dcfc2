"""The response to a scrape of the current variant, and its samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from benchmarks import variants

Encode = Callable[[], bytes]


def encoder() -> Encode:
    """Return the function that makes the response of the current variant."""
    if variants.current().apps == variants.TACHIKOMA.apps:
        return _own_encoder()
    return _encode_shared if variants.current().folder_variable else generate_latest


def _encode_shared() -> bytes:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _own_encoder() -> Encode:
    from tachikoma_metrics import METRICS

    return lambda: METRICS.encode().encode()


def protobuf_encoder() -> Encode:
    """Return the function that makes the response of tachikoma_metrics in protobuf."""
    from tachikoma_metrics import METRICS
    from tachikoma_metrics.exposition import PROTOBUF

    return lambda: METRICS.expose(PROTOBUF)


def samples(exposition: bytes) -> Iterator[Sample]:
    """Yield the samples of a response."""
    for metric in text_string_to_metric_families(exposition.decode()):
        yield from metric.samples


@contextmanager
def require_counted(number: int, name: str) -> Iterator[None]:
    """Raise ``RuntimeError`` unless the samples of ``name`` grow by ``number`` in the block.

    A variant that counts nothing has no overhead, and so has one that counts the baseline as well.
    """
    before = _sum(name)
    yield
    counted = _sum(name) - before
    if counted != number:
        raise RuntimeError(f"{variants.current().title} counted {counted} of {number} as {name}.")


def _sum(name: str) -> float:
    return sum(sample.value for sample in samples(encoder()()) if sample.name == name)
