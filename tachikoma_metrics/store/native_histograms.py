"""What native histograms have counted, in the form in which Prometheus receives it.

https://github.com/prometheus/client_model/blob/master/io/prometheus/client/metrics.proto
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import sub
from typing import Any, NamedTuple

from tachikoma_metrics.store.layout import Native

Spans = tuple[tuple[int, int], ...]
"""Runs of adjacent buckets: how many follow the end of the run before, and how many they are."""

_LONGEST_GAP = 2
"""Empty buckets in a run; another run would take more bytes."""


class Buckets(NamedTuple):
    """Buckets on one side of zero: ``deltas`` are the differences from one count to the next.

    ``total`` is the count of all of them.

    The first of ``spans`` begins after bucket number 0. Bucket ``i`` ends with, and includes, the
    number ``2 ** (i / 2 ** schema)``.
    """

    spans: Spans = ()
    deltas: tuple[int, ...] = ()
    total: int = 0

    def by_index(self) -> dict[int, int]:
        """Return the count of each bucket, by its number."""
        indexes: list[int] = []
        end = 0
        for offset, length in self.spans:
            indexes += range(end + offset, end + offset + length)
            end += offset + length
        return dict(zip(indexes, accumulate(self.deltas), strict=True))


NO_BUCKETS = Buckets()


@dataclass(slots=True)
class NativeHistogram:
    """What one label set of a histogram has counted in native buckets.

    ``not_a_number`` is the count of what is in no bucket. ``rendered`` is a cache for what is made
    of the others: as long as nothing is counted, a scrape gets the same object.
    """

    schema: int
    zero_threshold: float
    zero_count: int = 0
    not_a_number: int = 0
    positive: Buckets = NO_BUCKETS
    negative: Buckets = NO_BUCKETS
    rendered: dict[object, Any] = field(default_factory=dict, compare=False, repr=False)

    def count(self, total: float) -> int:
        """Return the number of all observations, whose sum is ``total``.

        Prometheus rejects a number other than the total of all buckets, unless the sum is NaN.
        """
        counted = self.zero_count + self.positive.total + self.negative.total
        return counted + self.not_a_number if math.isnan(total) else counted


def empty(native: Native) -> NativeHistogram:
    """Return a histogram that has counted nothing."""
    return NativeHistogram(native.schema, math.ldexp(1.0, native.zero_exponent))


@dataclass(frozen=True)
class NativeHistograms:
    """What each label set of a metric has counted, in the order of its ``Lines``.

    ``sums`` are those of the observations.
    """

    histograms: Sequence[NativeHistogram]
    sums: Sequence[float]


class Run(NamedTuple):
    """Buckets that are exposed: the places of their counts among others, and their spans."""

    places: tuple[int, ...] = ()
    spans: Spans = ()

    @classmethod
    def of(cls, counts: Iterable[tuple[int, int, int]]) -> Run:
        """Return those that are not empty, or nearly between two that are not.

        ``counts`` are those of all buckets, each after its place and the number of the bucket.
        """
        places: list[int] = []
        spans: list[list[int]] = []
        end = 0
        for place, index, count in counts:
            if not count:
                continue
            gap = index - end
            if spans and gap <= _LONGEST_GAP:
                places += range(place - gap, place + 1)
                spans[-1][1] += gap + 1
            else:
                places.append(place)
                spans.append([gap, 1])
            end = index + 1
        return cls(tuple(places), tuple((offset, length) for offset, length in spans))


def buckets_of(counts: Mapping[int, int]) -> Buckets:
    """Return buckets, given their counts by their numbers."""
    if not counts:
        return NO_BUCKETS
    first, last = min(counts), max(counts)
    every = [counts.get(index, 0) for index in range(first, last + 1)]
    run = Run.of((place, first + place, count) for place, count in enumerate(every))
    picked = tuple([every[place] for place in run.places])
    return Buckets(run.spans, deltas_of(picked), sum(picked))


def deltas_of(counts: Sequence[int]) -> tuple[int, ...]:
    """Return the differences from each count to the next, from zero to the first."""
    return tuple(map(sub, counts, (0, *counts)))


def added(histograms: Sequence[NativeHistogram]) -> NativeHistogram:
    """Return the sum of histograms, in the lowest resolution that one of them has."""
    first = histograms[0]
    if len(histograms) == 1:
        return first
    schema = min(one.schema for one in histograms)
    sides: tuple[dict[int, int], dict[int, int]] = ({}, {})
    for one in histograms:
        ratio = 2 ** (one.schema - schema)
        for counts, buckets in zip(sides, (one.positive, one.negative), strict=True):
            for index, count in buckets.by_index().items():
                # Two buckets that are halves of one have the numbers 2n - 1 and 2n.
                wider = -(-index // ratio)
                counts[wider] = counts.get(wider, 0) + count
    return NativeHistogram(
        schema,
        first.zero_threshold,
        sum(one.zero_count for one in histograms),
        sum(one.not_a_number for one in histograms),
        buckets_of(sides[0]),
        buckets_of(sides[1]),
    )
