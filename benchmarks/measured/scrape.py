"""What making the page takes that a scraper is given."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.parser import text_string_to_metric_families

from benchmarks import peers
from benchmarks.measured.answering import answer
from benchmarks.measured.timing import stay_on_one_cpu
from benchmarks.project.start import start
from benchmarks.rounds import Figures

MakePage = Callable[[], bytes]


def page_maker() -> MakePage:
    """Return what makes the page of the current peer."""
    return _stock_page if peers.current() is peers.STOCK_SHARED else _own_page()


def _stock_page() -> bytes:
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _own_page() -> MakePage:
    from tachikoma_metrics import METRICS

    return lambda: METRICS.encode().encode()


def scrape() -> Figures:
    """Return the seconds that one page takes."""
    cpu, clock = time.process_time(), time.perf_counter()
    page = _make_page()
    return {
        "cpu": time.process_time() - cpu,
        "clock": time.perf_counter() - clock,
        "bytes": len(page),
    }


def grow() -> Figures:
    """Make one more label set in this process, as a route does that is first asked for."""
    # A process that goes on with what another left has the label sets of that one.
    _growing.labels(f"{os.getpid()}-{next(_numbers)}").inc()
    return {}


def totals() -> Figures:
    """Return the samples that the population wrote, as the page has them."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for metric in text_string_to_metric_families(_make_page().decode())
        for sample in metric.samples
        if sample.name.startswith("bench_")
    }


if __name__ == "__main__":
    stay_on_one_cpu()
    start()
    _make_page = page_maker()
    _growing = Counter("growing", "Label sets that come later.", ["number"])
    _numbers = itertools.count()
    answer({"grow": grow, "scrape": scrape, "totals": totals})
