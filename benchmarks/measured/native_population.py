"""Processes that have observed much in native histograms, and stay alive while it is measured."""

from __future__ import annotations

import sys
from functools import partial

from prometheus_client import Histogram

from benchmarks.measured.population import Change, main
from benchmarks.project.start import start

_BOUNDS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SIXTEENTHS = (17, 19, 20, 22, 24, 26, 29, 31)
"""Of the lower bound of a power of two: one in each of its eight buckets. Their sum is exact."""

_EXPONENTS = range(-10, -3)


def changes(histogram: Histogram, label_sets: int, percent: int) -> list[Change]:
    """Return functions that observe once in so many of the label sets, and fill all of them."""
    made: list[Change] = []
    for number in range(label_sets):
        child = histogram.labels("GET", f"/api/v1/resources-{number}/:id/parts/")
        observed = _observed(number)
        for seconds in observed:
            child.observe(seconds)
        if number * percent // 100 < (number + 1) * percent // 100:
            made.append(partial(child.observe, observed[number % len(observed)]))
    # Without any change, everything would be prepared again.
    return made or [_nothing]


def _nothing() -> None:
    pass


def _observed(number: int) -> list[float]:
    """Return the observations of a label set: 42, each in another bucket, of seven octaves."""
    return [
        sixteenths / 16 * 2.0**exponent
        for exponent in _EXPONENTS
        for place, sixteenths in enumerate(_SIXTEENTHS)
        if (place + exponent + number) % 4
    ]


if __name__ == "__main__":
    _processes, _label_sets, _percent = map(int, sys.argv[1:])
    start()
    _histogram = Histogram("bench_native_seconds", "Seconds.", ("method", "path"), buckets=_BOUNDS)
    main(_processes, partial(changes, _histogram, _label_sets, _percent))
