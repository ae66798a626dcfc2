"""Which doubles of each file a scrape picks, and to which totals it adds them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import reduce
from itertools import accumulate
from operator import add, itemgetter
from typing import Any

from tachikoma_metrics.store.label_sets import FileIndex
from tachikoma_metrics.store.layout import DOUBLE, ZERO_AT

Pick = Callable[[Any], tuple[float, ...]]
"""Returns values of one file."""


@dataclass
class Order:
    """The order of the totals, by label sets that are given as numbers.

    ``shown`` and ``moved`` are label sets with their widths. Each of those moved is added to the
    label set that ``targets`` has for it.
    """

    shown: list[tuple[int, int]] = field(default_factory=list)
    moved: list[tuple[int, int]] = field(default_factory=list)
    targets: dict[int, int] = field(default_factory=dict)

    def add(self, shown: Iterable[int], targets: dict[int, int], width: int) -> None:
        """Append the label sets of one metric."""
        self.shown += [(number, width) for number in shown]
        self.moved += [(number, width) for number in targets]
        self.targets |= targets

    def places(self) -> dict[int, int]:
        """Return the place of the first total of each label set."""
        ends = accumulate((width for _, width in self.shown), initial=0)
        places = {number: place for (number, _), place in zip(self.shown, ends, strict=False)}
        places.update((number, places[target]) for number, target in self.targets.items())
        return places


class Picks:
    """Pick the values of all files, and add them up."""

    def __init__(self, order: Order, places: dict[int, int], indexes: list[FileIndex]) -> None:
        added = [(number, places[number], width) for number, width in order.moved]
        self._picks = [_pick(order.shown, index.firsts) for index in indexes]
        self._additions = [_additions(added, index.firsts) for index in indexes]

    def of(self, slot: int, row: array[float]) -> tuple[float, ...]:
        """Return the values of one file, in the order of the totals."""
        return self._picks[slot](row)

    def added(self, rows: list[array[float]]) -> list[float]:
        """Return the totals of all files."""
        # Always in the order of the files: in another order a sum may be rounded differently,
        # and a sum that falls by its last bit is a counter reset to Prometheus:
        # https://prometheus.io/docs/prometheus/latest/querying/functions/#rate
        totals: list[float] = []
        for pick, additions, row in zip(self._picks, self._additions, rows, strict=True):
            totals = list(map(add, totals, pick(row)) if totals else pick(row))
            for place, values in additions:
                totals[place] = reduce(add, values(row), totals[place])
        return totals


def _additions(
    additions: list[tuple[int, int, int]], firsts: dict[int, int]
) -> list[tuple[int, Pick]]:
    """Return the places of totals to which values of one file are added, and their picks."""
    indexes: dict[int, list[int]] = {}
    for number, place, width in additions:
        first = firsts.get(number)
        if first is not None:
            for offset in range(width):
                indexes.setdefault(place + offset, []).append(first + offset)
    return [(place, itemgetter(*found, ZERO_AT, ZERO_AT)) for place, found in indexes.items()]


def _pick(order: list[tuple[int, int]], firsts: dict[int, int]) -> Pick:
    indexes: list[int] = []
    for number, width in order:
        first = firsts.get(number)
        if first is None:
            indexes += [ZERO_AT] * width
        elif width == 1:
            indexes.append(first)
        else:
            indexes += range(first, first + width)
    # With fewer than two indexes it would return no tuple.
    return itemgetter(*indexes, ZERO_AT, ZERO_AT)


def doubles_of(content: bytes) -> array[float]:
    """Return the bytes of a file as doubles."""
    doubles = array("d")
    doubles.frombytes(content[: len(content) // DOUBLE * DOUBLE])
    return doubles
