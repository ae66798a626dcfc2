"""Which doubles of each file a scrape picks, and to which totals it adds them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from operator import add, itemgetter
from struct import Struct

from tachikoma_metrics.store.label_sets import FileIndex
from tachikoma_metrics.store.layout import DOUBLE, ZERO_AT

Pick = Callable[[bytes], tuple[float, ...]]
"""Returns values of one file, given its content."""

_ZERO = slice(ZERO_AT * DOUBLE, (ZERO_AT + 1) * DOUBLE)
"""Where each file has a zero."""


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

    def of(self, slot: int, content: bytes) -> tuple[float, ...]:
        """Return the values of one file, in the order of the totals."""
        return self._picks[slot](content)

    def added(self, contents: Sequence[bytes]) -> list[float]:
        """Return the totals of all files."""
        # Always in the order of the files: in another order a sum may be rounded differently,
        # and a sum that falls by its last bit is a counter reset to Prometheus:
        # https://prometheus.io/docs/prometheus/latest/querying/functions/#rate
        files = list(zip(self._picks, self._additions, contents, strict=True))
        totals: list[float] = []
        waiting: list[tuple[float, ...]] = []
        for pick, additions, content in files:
            waiting.append(pick(content))
            if additions or len(waiting) == _AT_A_TIME:
                totals, waiting = _sum(totals, waiting), []
            for place, values in additions:
                totals[place] = _one_by_one(totals[place], values(content))
        return _sum(totals, waiting)


_AT_A_TIME = 4
"""Files that are added up at a time, which takes half of the time of one after the other."""


def _sum(totals: list[float], files: list[tuple[float, ...]]) -> list[float]:
    if files and not totals:
        totals, files = list(files[0]), files[1:]
    if len(files) == _AT_A_TIME:
        return [a + b + c + d + e for a, b, c, d, e in zip(totals, *files, strict=True)]
    for values in files:
        totals = list(map(add, totals, values))
    return totals


def _one_by_one(total: float, values: Iterable[float]) -> float:
    # Not by `sum`, which rounds in another way since Python 3.12.
    for value in values:
        total += value
    return total


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
    return [
        (place, _values_at([_slice(first, 1) for first in found]))
        for place, found in indexes.items()
    ]


def _pick(order: list[tuple[int, int]], firsts: dict[int, int]) -> Pick:
    found: list[slice] = []
    for number, width in order:
        first = firsts.get(number)
        found += [_ZERO] * width if first is None else [_slice(first, width)]
    return _values_at(found)


def _slice(first: int, width: int) -> slice:
    return slice(first * DOUBLE, (first + width) * DOUBLE)


def _values_at(found: list[slice]) -> Pick:
    """Return a function that raises ``struct.error`` if a file is shorter."""
    # With fewer than two slices it would return no tuple.
    pick: Callable[[bytes], tuple[bytes, ...]] = itemgetter(*found, _ZERO, _ZERO)
    size = sum(one.stop - one.start for one in found) // DOUBLE
    unpack = Struct(f"{size + 2}d").unpack
    return lambda content: unpack(b"".join(pick(content)))


def doubles_of(content: bytes) -> memoryview[float]:
    """Return the bytes of a file as doubles, which are not copied."""
    return memoryview(content)[: len(content) // DOUBLE * DOUBLE].cast("d")
