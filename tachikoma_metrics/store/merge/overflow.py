"""Which label sets exceed the limit of their metric, and to which others they are added."""

from __future__ import annotations

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

    def targets(self, declaration: Declaration, numbers: list[int]) -> dict[int, int]:
        """Return the label sets above the limit, each with the one it is added to."""
        limit = self._limits.get(declaration.name) if declaration.is_ours else None
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
