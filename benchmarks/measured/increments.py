"""Cost of changing a custom metric."""

from __future__ import annotations

import time
import timeit
from collections.abc import Callable

from prometheus_client import Counter, Histogram

from benchmarks.measured.commands import run_commands
from benchmarks.measured.timing import stay_on_one_cpu
from benchmarks.project.start import start
from benchmarks.rounds import Figures
from benchmarks.variants import require_files


def measure(repeats: int, number: int) -> Figures:
    """Return the CPU seconds of one change, by metric."""
    purchases = Counter("purchases", "Purchases.")
    visits = Counter("visits", "Visits.", ["plan", "region"]).labels("pro", "eu")
    waits = Histogram("waits", "Waits.")
    native_waits = Histogram("native_waits", "Waits, in native buckets too.")
    changes: dict[str, Callable[[], None]] = {
        "counter": purchases.inc,
        "child": visits.inc,
        "histogram": lambda: waits.observe(0.3),
        "native": lambda: native_waits.observe(0.3),
    }
    figures = {
        name: min(timeit.repeat(change, timer=time.process_time, repeat=repeats, number=number))
        / number
        for name, change in changes.items()
    }
    require_files()
    return figures


if __name__ == "__main__":
    stay_on_one_cpu()
    start()
    run_commands({"measure": measure})
