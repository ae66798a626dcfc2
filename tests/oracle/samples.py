"""What a Prometheus makes of a counter, computed from its raw samples.

A range selector without a function, ``http_requests_total[10m]``, returns every sample as it was
scraped. ``rate()`` and ``increase()`` extrapolate; here nothing is, so figures can be compared with
a ledger to the request.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class Fall:
    """A sample that is lower than the one before it."""

    series: Labels
    at: float
    before: float
    after: float
    then: float | None
    """The value of the sample that follows; None if that was the last one."""

    @property
    def is_taken_back(self) -> bool:
        """Tell whether the next sample is as high as if nothing had been reset.

        A counter that was reset climbs from zero. One that is back within a single scrape was most
        likely read from two processes in turn, each with values of its own.
        """
        return self.then is not None and self.then >= self.before

    def __str__(self) -> str:
        labels = dict(self.series)
        name = labels.pop("__name__", "")
        for of_the_scrape in ("instance", "job"):
            labels.pop(of_the_scrape, None)
        shown = ", ".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        return f"{name}{{{shown}}} {self.before:g} -> {self.after:g}"


@dataclass(frozen=True)
class Series:
    """The samples of a time series, oldest first."""

    labels: Labels
    samples: tuple[tuple[float, float], ...]

    @property
    def values(self) -> list[float]:
        """Return the values without their times."""
        return [value for _, value in self.samples]

    @property
    def first(self) -> float:
        """Return the first value, which ``increase()`` takes no notice of."""
        return self.samples[0][1]

    @property
    def increase(self) -> float:
        """Return by how much the counter grew; after a fall, as if it had begun at zero."""
        return sum(
            after - before if after >= before else after
            for before, after in itertools.pairwise(self.values)
        )

    @property
    def falls(self) -> list[Fall]:
        """Return each fall, which Prometheus takes for a reset of the counter."""
        values = [*self.values, None]
        return [
            Fall(self.labels, at, before, after, values[number + 2])
            for number, ((_, before), (at, after)) in enumerate(itertools.pairwise(self.samples))
            if after < before
        ]


@dataclass(frozen=True)
class Counted:
    """What several series of a counter amount to."""

    first: float
    increase: float
    falls: tuple[Fall, ...]

    @property
    def total(self) -> float:
        """Return how many events Prometheus knows of."""
        return self.first + self.increase

    @property
    def alternates(self) -> bool:
        """Tell whether scrapes show one process and then another."""
        return any(fall.is_taken_back for fall in self.falls)


def counted(series: Iterable[Series]) -> Counted:
    """Add up series: their first samples, what they grew by, and their falls in order of time."""
    found = list(series)
    falls = [fall for one in found for fall in one.falls]
    return Counted(
        sum(one.first for one in found),
        sum(one.increase for one in found),
        tuple(sorted(falls, key=lambda fall: fall.at)),
    )


def read(matrix: Iterable[dict[str, Any]]) -> Iterator[Series]:
    """Yield the series in the result of a range selector.

    Each label set comes once, whether or not the series went away and came back between.
    """
    samples: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
    for one in matrix:
        pairs = [(float(at), float(value)) for at, value in one["values"]]
        samples[frozenset(one["metric"].items())] += pairs
    for labels, pairs in samples.items():
        yield Series(labels, tuple(sorted(pairs)))


def with_labels(series: Iterable[Series], **labels: str) -> Iterator[Series]:
    """Yield those of the series that have at least these labels."""
    wanted = set(labels.items())
    return (one for one in series if wanted <= one.labels)
