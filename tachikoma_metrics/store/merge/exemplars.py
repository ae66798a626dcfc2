"""The newest exemplar of each line, whichever process left it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

from tachikoma_metrics.store import layout
from tachikoma_metrics.store.families import Ending
from tachikoma_metrics.store.label_sets import FileIndex, InternedLabelSets
from tachikoma_metrics.store.layout import DOUBLE, Declaration, Exemplar
from tachikoma_metrics.store.reading import Reading

SECONDS_SHOWN = 600.0
"""The age at which an exemplar is no longer shown: its trace may be gone."""

_AT = 1
"""The place of the time in a cell, in doubles."""


class Home(NamedTuple):
    """The exemplars of a label set in one file.

    ``label_set`` is its place among those of the metric, ``first`` where the cells begin, and
    ``size`` that of a cell, both in doubles.
    """

    label_set: int
    file: int
    first: int
    size: int


class Exemplars:
    """Find the exemplars of a metric when they are asked for: text 0.0.4 has none."""

    def __init__(
        self,
        homes: Sequence[Home],
        endings: Sequence[Ending],
        readings: Sequence[Reading],
        rows: Sequence[memoryview[float]],
    ) -> None:
        self._homes = homes
        self._lines = len(endings)
        # Those of a histogram's buckets come first; a counter has one line.
        self._buckets = sum(bound is not None for _, bound in endings) or 1
        self._readings = readings
        self._rows = rows

    @cached_property
    def by_line(self) -> Mapping[int, Exemplar]:
        """Return the newest exemplar of each line, by the place of the line in ``Family.lines``."""
        found = {line: self._newest(cells) for line, cells in self._cells().items()}
        return {line: exemplar for line, exemplar in found.items() if exemplar is not None}

    def _cells(self) -> dict[int, list[tuple[float, int, int, int]]]:
        """Return time, file, first double and size of the cells of each line."""
        now = time.time()
        oldest, latest = now - SECONDS_SHOWN, now + SECONDS_SHOWN
        cells: dict[int, list[tuple[float, int, int, int]]] = {}
        for label_set, file, first, size in self._homes:
            line = label_set * self._lines
            times = self._rows[file][first + _AT : first + self._buckets * size : size]
            for place, at in enumerate(times):
                if oldest <= at <= latest:
                    cell = (at, file, first + place * size, size)
                    cells.setdefault(line + place, []).append(cell)
        return cells

    def _newest(self, cells: list[tuple[float, int, int, int]]) -> Exemplar | None:
        for _, file, first, size in sorted(cells, reverse=True):
            content = self._readings[file].content
            exemplar = layout.unpack(content[first * DOUBLE : (first + size) * DOUBLE])
            if exemplar is not None:
                return exemplar
        return None


def by_declaration(
    interned: InternedLabelSets, indexes: Sequence[FileIndex]
) -> dict[Declaration, list[tuple[int, Home]]]:
    """Return where the exemplars of each metric are, with the numbers of their label sets."""
    found: dict[Declaration, list[tuple[int, Home]]] = {}
    for file, index in enumerate(indexes):
        for number, first, size in index.cells:
            home = Home(0, file, first, size)
            found.setdefault(interned.series[number].declaration, []).append((number, home))
    return found


def homes_of(
    numbered: Sequence[tuple[int, Home]], shown: Sequence[int], targets: Mapping[int, int]
) -> list[Home]:
    """Return the exemplars of the label sets that are shown, in their order.

    Those of ``targets`` are shown as others.
    """
    places = {number: place for place, number in enumerate(shown)}
    places.update((number, places[target]) for number, target in targets.items())
    return [
        home._replace(label_set=places[number]) for number, home in numbered if number in places
    ]
