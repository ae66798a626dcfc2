"""Gauges of all processes, which are merged by their multiprocess modes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tachikoma_metrics.store import gauges
from tachikoma_metrics.store.families import Family, Lines
from tachikoma_metrics.store.gauges import Part
from tachikoma_metrics.store.label_sets import FileIndex
from tachikoma_metrics.store.layout import GAUGE_WIDTH, Declaration, Series
from tachikoma_metrics.store.reading import Reading


class Gauges:
    """Gauges of one declaration, which become one by their mode."""

    def __init__(
        self,
        declaration: Declaration,
        named: list[Series],
        firsts: list[list[list[int | None]]],
        moved: Collection[tuple[str, ...]],
    ) -> None:
        self._moved = moved
        self._declaration = declaration
        self._named = named
        self._firsts = firsts
        names = declaration.labels
        if declaration.mode in gauges.BY_WORKER:
            names = (*names, "worker_slot" if "worker" in names else "worker")
        self._lines = Lines(names, [], [("", None)])

    def family(self, readings: Sequence[Reading], rows: list[memoryview[float]]) -> Family:
        """Return the metric with the values of ``rows``."""
        found: dict[tuple[str, ...], float] = {}
        label_sets: list[tuple[str, ...]] = []
        for series, firsts in zip(self._named, self._firsts, strict=True):
            parts = [part for one in firsts for part in parts_of(one, readings, rows)]
            of_series = self._values(series, parts)
            found.update(of_series)
            if of_series:
                label_sets.append(series.labels)
        if list(found) != self._lines.label_sets:
            self._lines = Lines(self._lines.names, list(found), self._lines.endings)
        values = list(found.values())
        return Family(self._declaration, label_sets, self._lines, values, self._moved)

    def _values(self, series: Series, parts: list[Part]) -> dict[tuple[str, ...], float]:
        mode = self._declaration.mode
        if mode in gauges.BY_WORKER:
            return {
                (*series.labels, str(slot)): value
                for slot, value in gauges.by_worker(mode, parts).items()
            }
        value = gauges.merged(mode, parts)
        return {} if value is None else {series.labels: value}


def firsts_of(
    shown: list[int], moved: dict[int, int], indexes: list[FileIndex]
) -> list[list[list[int | None]]]:
    """Return, for each label set that is shown, the places of it and of those added to it."""
    return [
        [[index.firsts.get(number) for index in indexes] for number in numbers]
        for numbers in groups(shown, moved)
    ]


def groups(shown: list[int], moved: dict[int, int]) -> list[list[int]]:
    """Return each label set that is shown, together with those added to it."""
    added: dict[int, list[int]] = {number: [number] for number in shown}
    for number, target in moved.items():
        added[target].append(number)
    return list(added.values())


def parts_of(
    firsts: list[int | None], readings: Sequence[Reading], rows: list[memoryview[float]]
) -> list[Part]:
    """Return what each file has of a label set; ``firsts`` are the places of its values."""
    return [
        Part(reading.number, reading.is_held, row[first : first + GAUGE_WIDTH])
        for first, reading, row in zip(firsts, readings, rows, strict=True)
        if first is not None
    ]
