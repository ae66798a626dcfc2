"""Cost of a scrape of one variant."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable

from prometheus_client import Counter

from benchmarks.measured.commands import run_commands
from benchmarks.measured.expositions import Encode, encoder, protobuf_encoder, samples
from benchmarks.measured.pushes import pusher
from benchmarks.measured.timing import stay_on_one_cpu
from benchmarks.project.start import start
from benchmarks.rounds import Figures

_pushers: list[Callable[[], None]] = []


def scrape() -> Figures:
    """Return the CPU seconds, elapsed seconds, lines and bytes of one scrape."""
    return _measured(_encode)


def scrape_protobuf() -> Figures:
    """Return those of one scrape in protobuf."""
    return _measured(protobuf_encoder())


def push() -> Figures:
    """Return the CPU seconds and elapsed seconds of one push by OTLP."""
    if not _pushers:
        _pushers.append(pusher())
    cpu, clock = time.process_time(), time.perf_counter()
    _pushers[0]()
    return {"cpu": time.process_time() - cpu, "clock": time.perf_counter() - clock}


def _measured(encode: Encode) -> Figures:
    cpu, clock = time.process_time(), time.perf_counter()
    exposition = encode()
    return {
        "cpu": time.process_time() - cpu,
        "clock": time.perf_counter() - clock,
        "bytes": len(exposition),
        "lines": exposition.count(b"\n"),
    }


def grow() -> Figures:
    """Add a label set in this process, as the first request to a route does."""
    # A process that takes over a file has the label sets of the previous process.
    _growing.labels(f"{os.getpid()}-{next(_numbers)}").inc()
    return {}


def totals() -> Figures:
    """Return the samples of the population in the response."""
    return {
        f"{sample.name}{sorted(sample.labels.items())}": sample.value
        for sample in samples(_encode())
        if sample.name.startswith("bench_")
    }


if __name__ == "__main__":
    stay_on_one_cpu()
    start()
    _encode = encoder()
    _growing = Counter("growing", "Label sets that are added later.", ["number"])
    _numbers = itertools.count()
    run_commands(
        {
            "grow": grow,
            "push": push,
            "scrape": scrape,
            "scrape_protobuf": scrape_protobuf,
            "totals": totals,
        }
    )
