"""Processes that have written what a scrape collects, and stay while it is measured."""

from __future__ import annotations

import multiprocessing
import sys
from collections.abc import Callable
from multiprocessing.context import ForkProcess
from multiprocessing.synchronize import Barrier, Lock

from prometheus_client import Counter, Histogram

from benchmarks.measured.answering import answer
from benchmarks.project.start import start
from benchmarks.rounds import Figures

_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_LABELS = ("method", "path", "status")
_FAMILIES = 5
_STATUSES = ("200", "201", "304", "404", "500")
# Nobody waits longer than this for a process that is gone.
_SECONDS_OF_PATIENCE = 600

Change = Callable[[], None]
Metrics = tuple[list[Counter], list[Histogram]]


def families() -> Metrics:
    """Return the metrics of a service: counters, and histograms of 13 buckets."""
    numbers = range(_FAMILIES)
    return (
        [Counter(f"bench_events_{n}", "Events of a kind.", _LABELS) for n in numbers],
        [Histogram(f"bench_{n}_seconds", "Seconds.", _LABELS, buckets=_BOUNDS) for n in numbers],
    )


def changes(label_sets: int, counters: list[Counter], histograms: list[Histogram]) -> list[Change]:
    """Return what changes so many label sets, half of them of histograms."""
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
    # A sum of powers of two is exact, in whichever order they are added.
    seconds = 2.0 ** (number % 12 - 8)
    return lambda: child.observe(seconds)


def _label_values(number: int) -> tuple[str, str, str]:
    route, status = divmod(number, len(_STATUSES))
    return ("GET", f"/api/v1/resources-{route}/:id/parts/", _STATUSES[status])


class Population:
    """Writers, which write once each time they are told to."""

    def __init__(self, processes: int, label_sets: int) -> None:
        context = multiprocessing.get_context("fork")
        self._barrier = context.Barrier(processes + 1)
        metrics = families()
        # One at a time, as the workers of a server come: which of them finds its file
        # when a hundred look for theirs at once is another question.
        turn = context.Lock()
        self._writers: list[ForkProcess] = [
            context.Process(
                target=_write, args=(self._barrier, turn, label_sets, metrics), daemon=True
            )
            for _ in range(processes)
        ]
        for writer in self._writers:
            writer.start()

    def write(self) -> Figures:
        """Have every label set changed once by every writer."""
        for _ in ("go", "done"):
            self._barrier.wait(_SECONDS_OF_PATIENCE)
        return {"writers": len(self._writers)}

    def end(self) -> None:
        """End the writers."""
        for writer in self._writers:
            writer.kill()
        for writer in self._writers:
            writer.join()


def _write(barrier: Barrier, turn: Lock, label_sets: int, metrics: Metrics) -> None:
    with turn:
        Counter("bench_writers", "Processes that write.").inc()
    made: list[Change] = []
    while True:
        barrier.wait(_SECONDS_OF_PATIENCE)
        made = made or changes(label_sets, *metrics)
        for change in made:
            change()
        barrier.wait(_SECONDS_OF_PATIENCE)


def main(processes: int, label_sets: int) -> None:
    """Keep a population until standard input ends."""
    start()
    population = Population(processes, label_sets)
    try:
        answer({"write": population.write})
    finally:
        population.end()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
