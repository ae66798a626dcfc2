"""Records with counts that no process writes, negative ones and NaN, are left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import isnan
from operator import itemgetter
from typing import Any

from tachikoma_metrics.store.layout import COUNTER, DOUBLE, SUMMARY, Damaged, Declaration, Series
from tachikoma_metrics.store.reading import Reading

OnDamage = Callable[[Exception, object], None]

Reported = set[tuple[object, Series]]
"""The records that were reported."""


class CountsGuard:
    """Find the unsound records among those of ``named``, label sets by their numbers.

    What an observation adds to a sum is the project's, and may be anything. A record that is
    left out once stays out: its return would be a total that rises and falls.
    """

    def __init__(self, named: Mapping[int, Series], reported: Reported) -> None:
        self._named = named
        self._reported = reported
        self._left_out: dict[tuple[int, int], int] = {}
        indexes: list[int] = []
        first = 0
        for declaration, _ in named.values():
            indexes += range(first, first + declaration.width)[_counts_of(declaration)]
            first += declaration.width
        # With fewer than two indexes it would return no tuple. Each row ends with a zero.
        self._pick = itemgetter(*indexes, -1, -1)

    def are_sound(self, picked: Sequence[float]) -> bool:
        """Return whether the counts are such as a process writes, in a row of all label sets."""
        return _are_counts(self._pick(picked))

    def without_unsound(self, contents: Sequence[bytes]) -> Sequence[bytes]:
        """Return the contents of all files with zeros in the unsound records that are known."""
        if not self._left_out:
            return contents
        changed = list(map(bytearray, contents))
        for (slot, first), width in self._left_out.items():
            changed[slot][first * DOUBLE : (first + width) * DOUBLE] = bytes(width * DOUBLE)
        return list(map(bytes, changed))

    def find(
        self, slot: int, reading: Reading, row: Any, firsts: Mapping[int, int], on_damage: OnDamage
    ) -> None:
        """Find the unsound records of one file, and report each once."""
        for number, series in self._named.items():
            first, width = firsts.get(number), series.declaration.width
            if first is None or _is_sound(series.declaration, row[first : first + width]):
                continue
            self._left_out[slot, first] = width
            if (reading.identity, series) not in self._reported:
                self._reported.add((reading.identity, series))
                trouble = f"{series.declaration.name} must have counts of at least 0."
                on_damage(Damaged(trouble), f"slot {reading.number}")


def _is_sound(declaration: Declaration, values: Sequence[float]) -> bool:
    return _are_counts(values[_counts_of(declaration)])


def _counts_of(declaration: Declaration) -> slice:
    return slice(0, 1) if declaration.type in (COUNTER, SUMMARY) else slice(1, None)


def _are_counts(values: Sequence[float]) -> bool:
    # A minimum may pass over NaN, a sum does not.
    return min(values) >= 0 and not isnan(sum(values))
