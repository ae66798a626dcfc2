"""What all slots together say, family by family.

What is the same from one scrape to the next, which record of which slot belongs to
which label set, is found out once: then a scrape picks the doubles out of each slot
and adds them up, with no work in Python for a single value.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import reduce
from itertools import accumulate
from operator import add, itemgetter
from typing import Any

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store import gauges, layout
from tachikoma_metrics.store.counts import CountsGuard, OnDamage, Told
from tachikoma_metrics.store.families import Ending, Family, Lines
from tachikoma_metrics.store.gauges import Part
from tachikoma_metrics.store.label_sets import (
    Identity,
    Layout,
    Names,
    add_counters_of_lost,
    numbers_by_declaration,
    without_former,
)
from tachikoma_metrics.store.layout import (
    COUNTER,
    DOUBLE,
    GAUGE,
    HISTOGRAM,
    ZERO_AT,
    Declaration,
    Series,
)
from tachikoma_metrics.store.limits import NO_LIMITS, Limits, Moment, moved
from tachikoma_metrics.store.reading import ARCHIVE, Reading


class Merger:
    """Merge readings, remembering what the last ones had in common with the next."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._names = Names()
        self._layouts: dict[Identity, Layout] = {}
        self._told: Told = set()
        self._plan = _Plan(self._names, [], [], {}, NO_LIMITS, self._told)

    def merge(
        self, readings: Sequence[Reading], on_damage: OnDamage, limits: Limits = NO_LIMITS
    ) -> list[Family]:
        """Return the families that any of the slots has, with the label sets within ``limits``.

        Damaged parts of a slot are left out, and told of once.
        """
        try:
            return self._merged(readings, on_damage, limits)
        except Exception as error:
            pass_on(error)
        # One slot is not to cost the others.
        self._forget()
        sound = [one for one in readings if _is_mergeable(one, on_damage)]
        return self._merged(sound, on_damage, limits)

    def _merged(
        self, readings: Sequence[Reading], on_damage: OnDamage, limits: Limits
    ) -> list[Family]:
        layouts = [self._layout(reading, on_damage) for reading in readings]
        self._layouts = {layout.identity: layout for layout in layouts}
        identities = [layout.identity for layout in layouts]
        if identities != self._plan.identities or limits is not self._plan.limits:
            lines, told = self._plan.lines, self._told
            self._plan = _Plan(self._names, layouts, readings, lines, limits, told)
            self._forget_names()
        return self._plan.families(readings, on_damage)

    def _layout(self, reading: Reading, on_damage: OnDamage) -> Layout:
        header = reading.header
        identity = (
            *reading.identity,
            reading.number,
            header.generation,
            header.claimed_at,
            header.used,
            len(reading.content),
        )
        if identity in self._layouts:
            return self._layouts[identity]
        firsts: dict[int, int] = {}
        try:
            self._names.firsts(reading.content, header.used, firsts)
        except Exception as error:
            pass_on(error)
            on_damage(error, f"slot {reading.number}")
        return Layout(identity, firsts, reading.number == ARCHIVE)

    def _forget_names(self) -> None:
        # Of label sets that come and go, most are gone.
        if len(self._names.series) > 1000 + 2 * self._plan.size:
            self._names = Names()
            self._layouts = {}
            self._told.clear()


def _is_mergeable(reading: Reading, on_damage: OnDamage) -> bool:
    try:
        Merger()._merged([reading], on_damage, NO_LIMITS)
    except Exception as error:
        pass_on(error)
        on_damage(error, f"slot {reading.number}")
        return False
    return True


class _Plan:
    """Where the values of each label set are, in readings of the same layouts."""

    def __init__(
        self,
        names: Names,
        layouts: list[Layout],
        readings: Sequence[Reading],
        known_lines: dict[Declaration, Lines],
        limits: Limits,
        told: Told,
    ) -> None:
        self.identities = [layout.identity for layout in layouts]
        self.limits = limits
        self.lines: dict[Declaration, Lines] = {}
        self.size = 0
        self._totals: list[_Totals] = []
        self._gauges: list[_Gauges] = []
        order: list[tuple[int, int]] = []
        additions: list[tuple[int, int]] = []
        layouts = without_former(names, layouts)
        by_declaration = numbers_by_declaration(names, layouts)
        counters = add_counters_of_lost(names, by_declaration)
        gauges_of = {counter: gauge for gauge, counter in counters.items()}
        targets: dict[int, int] = {}
        for declaration, numbers in by_declaration.items():
            self.size += len(numbers)
            moved = _moved(names, declaration, numbers, gauges_of, layouts, readings, limits)
            shown = [one for one in dict.fromkeys([*numbers, *moved.values()]) if one not in moved]
            named = [names.series[number] for number in shown]
            left_out = [names.series[number].labels for number in moved]
            if declaration.type == GAUGE:
                firsts = _firsts(shown, moved, layouts)
                self._gauges.append(_Gauges(declaration, named, firsts, left_out))
            else:
                self._add_totals(declaration, named, known_lines.get(declaration), left_out)
                order += [(number, declaration.width) for number in shown]
                additions += [(number, declaration.width) for number in moved]
                targets |= moved
        self._layouts = layouts
        self._guard = CountsGuard({number: names.series[number] for number, _ in order}, told)
        self._is_checked = False
        self._pick_from(layouts, order, additions, targets, counters)

    def _add_totals(
        self,
        declaration: Declaration,
        named: list[Series],
        known_lines: Lines | None,
        moved: list[tuple[str, ...]],
    ) -> None:
        first = self._totals[-1].end if self._totals else 0
        totals = _Totals(declaration, named, first, known_lines, moved)
        self._totals.append(totals)
        self.lines[declaration] = totals.lines

    def _pick_from(
        self,
        layouts: list[Layout],
        order: list[tuple[int, int]],
        additions: list[tuple[int, int]],
        targets: dict[int, int],
        counters: dict[int, int],
    ) -> None:
        """Note where in each slot the values are, and in which total each is counted."""
        ends = accumulate((width for _, width in order), initial=0)
        places = {number: place for (number, _), place in zip(order, ends, strict=False)}
        places.update((number, places[target]) for number, target in targets.items())
        added = [(number, places[number], width) for number, width in additions]
        self._picks = [_pick(order, layout.firsts) for layout in layouts]
        self._additions = [_additions(added, layout.firsts) for layout in layouts]
        self._lost = [
            (places[counter], [layout.firsts.get(gauge) for layout in layouts])
            for gauge, counter in counters.items()
        ]

    def families(self, readings: Sequence[Reading], on_damage: OnDamage) -> list[Family]:
        rows = [_doubles(reading.content) for reading in readings]
        self._guard.leave_out(rows)
        totals = self._added(rows)
        if rows and not (self._is_checked and self._guard.are_sound(totals)):
            self._is_checked = True
            self._check(readings, rows, on_damage)
            totals = self._added(rows)
        for place, firsts in self._lost:
            totals[place] += sum(
                gauges.lost(part.values, part.is_held) for part in _parts(firsts, readings, rows)
            )
        return [
            *(part.family(totals) for part in self._totals),
            *(part.family(readings, rows) for part in self._gauges),
        ]

    def _check(
        self, readings: Sequence[Reading], rows: list[array[float]], on_damage: OnDamage
    ) -> None:
        for slot, (row, pick) in enumerate(zip(rows, self._picks, strict=True)):
            if not self._guard.are_sound(pick(row)):
                firsts = self._layouts[slot].firsts
                self._guard.find(slot, readings[slot], row, firsts, on_damage)
        self._guard.leave_out(rows)

    def _added(self, rows: list[array[float]]) -> list[float]:
        # In the order of the slots, each time: in another order a sum may be rounded
        # another way, and one that falls by its last bit is a reset to Prometheus:
        # https://prometheus.io/docs/prometheus/latest/querying/functions/#rate
        totals: list[float] = []
        for pick, additions, row in zip(self._picks, self._additions, rows, strict=True):
            totals = list(map(add, totals, pick(row)) if totals else pick(row))
            for place, values in additions:
                totals[place] = reduce(add, values(row), totals[place])
        return totals


def _moved(
    names: Names,
    declaration: Declaration,
    numbers: list[int],
    gauges_of: dict[int, int],
    layouts: list[Layout],
    readings: Sequence[Reading],
    limits: Limits,
) -> dict[int, int]:
    """Return the label sets that are above the limit, each with the one it is added to.

    ``gauges_of`` has the gauges from which counters of what was lost are.
    """
    limit = limits.get(declaration.name) if declaration.is_ours else None
    if limit is None or len(numbers) < limit.most:
        return {}
    number_of: dict[tuple[str, ...], int] = {}
    made_at: dict[tuple[str, ...], Moment] = {}
    for number in numbers:
        labels = names.series[number].labels
        number_of[labels] = number
        recorded = (number, gauges_of.get(number, number))
        made_at[labels] = min(
            (reading.is_private, layout.moment_of(reading.content, found.firsts[one]))
            for found, reading in zip(layouts, readings, strict=True)
            for one in recorded
            if one in found.firsts
        )
    return {
        number_of[values]: names.number_of(Series(declaration, target))
        for values, target in moved(declaration, limit, made_at).items()
    }


def _firsts(
    shown: list[int], moved: dict[int, int], layouts: list[Layout]
) -> list[list[list[int | None]]]:
    """Return, for each label set that is shown, the places of it and of those added to it."""
    added: dict[int, list[int]] = {number: [number] for number in shown}
    for number, target in moved.items():
        added[target].append(number)
    return [
        [[layout.firsts.get(number) for layout in layouts] for number in numbers]
        for numbers in added.values()
    ]


def _additions(
    additions: list[tuple[int, int, int]], firsts: dict[int, int]
) -> list[tuple[int, Callable[[Any], tuple[float, ...]]]]:
    """Return the places of totals to which values of one slot are added, and those values."""
    indexes: dict[int, list[int]] = {}
    for number, place, width in additions:
        first = firsts.get(number)
        if first is not None:
            for offset in range(width):
                indexes.setdefault(place + offset, []).append(first + offset)
    return [(place, itemgetter(*found, ZERO_AT, ZERO_AT)) for place, found in indexes.items()]


def _pick(
    order: list[tuple[int, int]], firsts: dict[int, int]
) -> Callable[[Any], tuple[float, ...]]:
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


def _doubles(content: bytes) -> array[float]:
    doubles = array("d")
    doubles.frombytes(content[: len(content) // DOUBLE * DOUBLE])
    return doubles


class _Totals:
    """Counters, histograms or summaries of one declaration, which add up."""

    def __init__(
        self,
        declaration: Declaration,
        named: list[Series],
        first: int,
        known_lines: Lines | None,
        moved: Collection[tuple[str, ...]],
    ) -> None:
        self._moved = moved
        self._declaration = declaration
        self._first = first
        self.end = first + len(named) * declaration.width
        label_sets = [series.labels for series in named]
        lines = Lines(declaration.labels, label_sets, list(_endings(declaration)))
        self.lines = known_lines if known_lines == lines else lines

    def family(self, totals: Sequence[float]) -> Family:
        values = totals[self._first : self.end]
        if self._declaration.type == HISTOGRAM:
            values = self._cumulated(values)
        return Family(self._declaration, self.lines.label_sets, self.lines, values, self._moved)

    def _cumulated(self, values: Sequence[float]) -> list[float]:
        width = self._declaration.width
        has_sum = _has_sum(self._declaration)
        cumulated: list[float] = []
        for first in range(0, len(values), width):
            cumulated += accumulate(values[first + 1 : first + width])
            cumulated.append(cumulated[-1])
            if has_sum:
                cumulated.append(values[first])
        return cumulated


def _has_sum(declaration: Declaration) -> bool:
    # Where negative observations are to be expected, a sum may fall, and is left out:
    # https://prometheus.io/docs/specs/om/open_metrics_spec/#histogram-1
    return declaration.bounds[0] >= 0


def _endings(declaration: Declaration) -> Iterator[Ending]:
    """Yield suffix and bound of each line of a label set."""
    if declaration.type == COUNTER:
        yield "_total", None
        return
    for bound in declaration.bounds:
        yield "_bucket", bound
    yield "_count", None
    if declaration.type != HISTOGRAM or _has_sum(declaration):
        yield "_sum", None


class _Gauges:
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

    def family(self, readings: Sequence[Reading], rows: list[array[float]]) -> Family:
        found: dict[tuple[str, ...], float] = {}
        label_sets: list[tuple[str, ...]] = []
        for series, firsts in zip(self._named, self._firsts, strict=True):
            parts = [part for one in firsts for part in _parts(one, readings, rows)]
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


def _parts(
    firsts: list[int | None], readings: Sequence[Reading], rows: list[array[float]]
) -> list[Part]:
    return [
        Part(reading.number, reading.is_held, row[first : first + layout.GAUGE_WIDTH])
        for first, reading, row in zip(firsts, readings, rows, strict=True)
        if first is not None
    ]
