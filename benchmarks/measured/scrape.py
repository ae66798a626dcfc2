"""What making the page takes that a scraper is given."""

from __future__ import annotations

import itertools
import os
import time

from prometheus_client import Counter

from benchmarks.measured.answering import answer
from benchmarks.measured.pages import page_maker, samples
from benchmarks.measured.timing import stay_on_one_cpu
from benchmarks.project.start import start
from benchmarks.rounds import Figures


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
        for sample in samples(_make_page())
        if sample.name.startswith("bench_")
    }


if __name__ == "__main__":
    stay_on_one_cpu()
    start()
    _make_page = page_maker()
    _growing = Counter("growing", "Label sets that come later.", ["number"])
    _numbers = itertools.count()
    answer({"grow": grow, "scrape": scrape, "totals": totals})
