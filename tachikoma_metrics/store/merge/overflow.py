"""Which label sets exceed the limit of their metric, and to which others they are added."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tachikoma_metrics.store import layout
from tachikoma_metrics.store.label_sets import FileIndex, InternedLabelSets
from tachikoma_metrics.store.layout import Declaration, Series
from tachikoma_metrics.store.limits import Limits, Moment, Values, moved
from tachikoma_metrics.store.reading import Reading


class Overflow:
    """Find the label sets that are not shown.

    ``gauges_of`` has, for each counter of what was lost, the gauge that it is calculated from.
    """

    def __init__(
        self,
        interned: InternedLabelSets,
        indexes: list[FileIndex],
        readings: Sequence[Reading],
        limits: Limits,
        gauges_of: dict[int, int],
    ) -> None:
        self._interned = interned
        self._found = list(zip(indexes, readings, strict=True))
        self._limits = limits
        self._gauges_of = gauges_of

    def fitting(self, declaration: Declaration, numbers: list[int]) -> list[int]:
        """Return the label sets without those initialized to zero for which there is no room."""
        limit = self._limit_of(declaration)
        if len(numbers) < limit:
            return numbers
        zeros = {number for number in numbers if self._made_at(number)[1] == layout.NOT_COUNTED}
        room = int(max(0, limit - 1 - len(numbers) + len(zeros)))
        ordered = sorted(zeros, key=lambda number: self._interned.series[number].labels)
        hidden = set(ordered[room:])
        return [number for number in numbers if number not in hidden]

    def _limit_of(self, declaration: Declaration) -> float:
        limit = self._limits.get(declaration.name) if declaration.is_builtin else None
        return math.inf if limit is None else limit.most

    def targets(self, declaration: Declaration, numbers: list[int]) -> dict[int, int]:
        """Return the label sets above the limit, each with the one it is added to."""
        limit = self._limits.get(declaration.name) if declaration.is_builtin else None
        if limit is None or len(numbers) < limit.most:
            return {}
        number_of = {self._interned.series[number].labels: number for number in numbers}
        made_at = {labels: self._made_at(number) for labels, number in number_of.items()}
        return {
            number_of[values]: self._number(declaration, target)
            for values, target in moved(declaration, limit, made_at).items()
        }

    def _made_at(self, number: int) -> Moment:
        recorded = (number, self._gauges_of.get(number, number))
        return min(
            (reading.is_private, layout.moment_of(reading.content, found.firsts[one]))
            for found, reading in self._found
            for one in recorded
            if one in found.firsts
        )

    def _number(self, declaration: Declaration, values: Values) -> int:
        return self._interned.number_of(Series(declaration, values))
