"""Processes that write the values of a scrape, and stay alive while it is measured."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from functools import partial
from multiprocessing.context import ForkProcess
from multiprocessing.synchronize import Barrier, Lock

from prometheus_client import Counter, Histogram

from benchmarks.measured.commands import run_commands
from benchmarks.project.start import start
from benchmarks.rounds import Figures

_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LABELS = ("method", "path", "status")
_FAMILIES = 5
_STATUSES = ("200", "201", "304", "404", "500")
# A process may have died.
_TIMEOUT_SECONDS = 600

Change = Callable[[], None]
Prepare = Callable[[], list[Change]]
"""Returns the changes that a writer makes each time, once the writer is a process of its own."""

Metrics = tuple[list[Counter], list[Histogram]]


def families() -> Metrics:
    """Return the metrics of a service: counters, and histograms of 13 buckets."""
    numbers = range(_FAMILIES)
    return (
        [Counter(f"bench_events_{n}", "Events of a kind.", _LABELS) for n in numbers],
        [Histogram(f"bench_{n}_seconds", "Seconds.", _LABELS, buckets=_BOUNDS) for n in numbers],
    )


def changes(label_sets: int, counters: list[Counter], histograms: list[Histogram]) -> list[Change]:
    """Return functions that change ``label_sets`` label sets, half of them of histograms."""
    return [
        change
        for n in range(label_sets // 2)
        for change in (
            _counting(counters[n % _FAMILIES], n // _FAMILIES),
            _observing(histograms[n % _FAMILIES], n // _FAMILIES),
        )
    ]


def _counting(counter: Counter, number: int) -> Change:
    return counter.labels(*_label_values(number)).inc


def _observing(histogram: Histogram, number: int) -> Change:
    child = histogram.labels(*_label_values(number))
    # A sum of powers of two is exact in any order.
    seconds = 2.0 ** (number % 12 - 8)
    return lambda: child.observe(seconds)


def _label_values(number: int) -> tuple[str, str, str]:
    route, status = divmod(number, len(_STATUSES))
    return ("GET", f"/api/v1/resources-{route}/:id/parts/", _STATUSES[status])


class Population:
    """Writer processes, which write once for each command."""

    def __init__(self, processes: int, prepare: Prepare) -> None:
        context = multiprocessing.get_context("fork")
        self._barrier = context.Barrier(processes + 1)
        # One at a time, like the workers of a server; a hundred simultaneous starts are
        # not measured here.
        turn = context.Lock()
        self._writers: list[ForkProcess] = [
            context.Process(target=_write, args=(self._barrier, turn, prepare), daemon=True)
            for _ in range(processes)
        ]
        for writer in self._writers:
            writer.start()

    def write(self) -> Figures:
        """Change every label set once in every writer."""
        for _ in ("go", "done"):
            self._barrier.wait(_TIMEOUT_SECONDS)
        return {"writers": len(self._writers)}

    def end(self) -> None:
        """End the writers."""
        for writer in self._writers:
            writer.kill()
        for writer in self._writers:
            writer.join()


def _write(barrier: Barrier, turn: Lock, prepare: Prepare) -> None:
    with turn:
        Counter("bench_writers", "Processes that write.").inc()
    prepared: list[Change] = []
    while True:
        barrier.wait(_TIMEOUT_SECONDS)
        prepared = prepared or prepare()
        for change in prepared:
            change()
        barrier.wait(_TIMEOUT_SECONDS)


def main(processes: int, prepare: Prepare) -> None:
    """Run a population until standard input ends."""
    population = Population(processes, prepare)
    try:
        run_commands({"write": population.write})
    finally:
        population.end()


if __name__ == "__main__":
    _processes, _label_sets = map(int, sys.argv[1:])
    start()
    main(_processes, partial(changes, _label_sets, *families()))
