"""The page of the current peer, and what is on it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from benchmarks import peers

MakePage = Callable[[], bytes]


def page_maker() -> MakePage:
    """Return what makes the page of the current peer."""
    if peers.current() is peers.OURS:
        return _own_page()
    return _shared_page if peers.current().folder_variable else generate_latest


def _shared_page() -> bytes:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _own_page() -> MakePage:
    from tachikoma_metrics import METRICS

    return lambda: METRICS.encode().encode()


def samples(page: bytes) -> Iterator[Sample]:
    """Return what is on a page."""
    for metric in text_string_to_metric_families(page.decode()):
        yield from metric.samples


@contextmanager
def require_counted(number: int, name: str) -> Iterator[None]:
    """Raise ``RuntimeError`` unless the samples of ``name`` grow by ``number`` in the block.

    One that counts nothing costs nothing, and one that also counts what it is compared with
    seems to.
    """
    before = _sum(name)
    yield
    counted = _sum(name) - before
    if counted != number:
        raise RuntimeError(f"{peers.current().title} counted {counted} of {number} as {name}.")


def _sum(name: str) -> float:
    return sum(sample.value for sample in samples(page_maker()()) if sample.name == name)
