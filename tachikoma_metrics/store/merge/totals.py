"""Counters, histograms and summaries of all processes, which add up."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import partial
from itertools import accumulate

from tachikoma_metrics.store.families import Ending, Family, Lines, nothing
from tachikoma_metrics.store.layout import COUNTER, HISTOGRAM, Declaration, Series
from tachikoma_metrics.store.merge.exemplars import Exemplars, Home
from tachikoma_metrics.store.merge.starts import Starts
from tachikoma_metrics.store.native_histograms import NativeHistograms
from tachikoma_metrics.store.reading import Reading


class Totals:
    """Counters, histograms or summaries of one declaration, which add up."""

    def __init__(
        self,
        declaration: Declaration,
        named: list[Series],
        first: int,
        known_lines: Lines | None,
        moved: Collection[tuple[str, ...]],
        starts: Starts,
        homes: Sequence[Home] = (),
    ) -> None:
        self._moved = moved
        self.declaration = declaration
        self._starts = starts
        self._homes = homes
        self._first = first
        self.end = first + len(named) * declaration.width
        label_sets = [series.labels for series in named]
        lines = Lines(declaration.labels, label_sets, list(endings(declaration)))
        self.lines = known_lines if known_lines == lines else lines

    def sums(self, totals: Sequence[float]) -> Sequence[float]:
        """Return the sum of each label set of a histogram."""
        return totals[self._first : self.end : self.declaration.width]

    def family(
        self,
        totals: Sequence[float],
        readings: Sequence[Reading],
        rows: Sequence[array[float]],
        find_natives: Callable[[], NativeHistograms | None] = nothing,
    ) -> Family:
        """Return the metric with its part of all totals, which are those of ``readings``."""
        exemplars = None
        if self._homes:
            exemplars = Exemplars(self._homes, self.lines.endings, readings, rows)
        values = totals[self._first : self.end]
        if self.declaration.type == HISTOGRAM:
            values = self._cumulated(values)
        return Family(
            self.declaration,
            self.lines.label_sets,
            self.lines,
            values,
            self._moved,
            partial(self._starts.of, readings),
            exemplars,
            find_natives,
        )

    def _cumulated(self, values: Sequence[float]) -> list[float]:
        width = self.declaration.width
        has_sum = _has_sum(self.declaration)
        cumulated: list[float] = []
        for first in range(0, len(values), width):
            cumulated += accumulate(values[first + 1 : first + width])
            cumulated.append(cumulated[-1])
            if has_sum:
                cumulated.append(values[first])
        return cumulated


def _has_sum(declaration: Declaration) -> bool:
    # If negative observations are to be expected, the sum may fall, and is left out:
    # https://prometheus.io/docs/specs/om/open_metrics_spec/#histogram-1
    return declaration.bounds[0] >= 0


def endings(declaration: Declaration) -> Iterator[Ending]:
    """Yield suffix and bound of each line of a label set."""
    if declaration.type == COUNTER:
        yield "_total", None
        return
    for bound in declaration.bounds:
        yield "_bucket", bound
    yield "_count", None
    if declaration.type != HISTOGRAM or _has_sum(declaration):
        yield "_sum", None
