"""Where the values of each label set are, in readings whose records are in the same places."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from functools import cache, partial

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store import gauges
from tachikoma_metrics.store.families import Family, Lines, nothing
from tachikoma_metrics.store.label_sets import (
    FileIndex,
    InternedLabelSets,
    add_counters_of_lost,
    numbers_by_declaration,
    without_former,
)
from tachikoma_metrics.store.layout import BLOCK, GAUGE, Declaration
from tachikoma_metrics.store.limits import Limits
from tachikoma_metrics.store.merge import exemplars
from tachikoma_metrics.store.merge.counts import CountsGuard, OnDamage, Reported
from tachikoma_metrics.store.merge.merged_gauges import Gauges, firsts_of, groups, parts_of
from tachikoma_metrics.store.merge.native import (
    Blocks,
    LabelSet,
    NativeTotals,
    blocks_by_label_set,
)
from tachikoma_metrics.store.merge.overflow import Overflow
from tachikoma_metrics.store.merge.picks import Order, Picks, doubles_of
from tachikoma_metrics.store.merge.starts import Starts
from tachikoma_metrics.store.merge.totals import Totals
from tachikoma_metrics.store.native_histograms import NativeHistograms
from tachikoma_metrics.store.reading import Reading


class Plan:
    """Merge readings whose records are in the same places."""

    def __init__(
        self,
        interned: InternedLabelSets,
        indexes: list[FileIndex],
        readings: Sequence[Reading],
        known: Plan | None,
        limits: Limits,
        reported: Reported,
    ) -> None:
        self.identities = [index.identity for index in indexes]
        self.limits = limits
        self.lines: dict[Declaration, Lines] = {}
        self.size = 0
        self._interned = interned
        self._totals: list[Totals] = []
        self._gauges: list[Gauges] = []
        self._order = Order()
        self._indexes = without_former(interned, indexes)
        self._natives: dict[Declaration, NativeTotals] = {}
        self._blocks = Blocks(interned, self._indexes, reported)
        by_declaration = numbers_by_declaration(interned, self._indexes)
        counters = add_counters_of_lost(interned, by_declaration)
        known_lines = {} if known is None else known.lines
        known_natives = {} if known is None else known.label_sets
        self._gauges_of = {counter: gauge for gauge, counter in counters.items()}
        self._cells = exemplars.by_declaration(interned, self._indexes)
        overflow = Overflow(interned, self._indexes, readings, limits, self._gauges_of)
        for declaration, found in by_declaration.items():
            if declaration.type == BLOCK:
                self.size += len(found)
                continue
            numbers = overflow.fitting(declaration, found)
            targets = overflow.targets(declaration, numbers)
            self._add(declaration, numbers, targets, known_lines.get(declaration))
            if declaration.native is not None:
                blocks = by_declaration.get(declaration.blocks, ())
                self._natives[declaration] = NativeTotals(
                    declaration,
                    self.lines[declaration].label_sets,
                    blocks_by_label_set(interned, blocks, targets),
                    self._blocks,
                    known_natives,
                )
        shown = {number: interned.series[number] for number, _ in self._order.shown}
        self._guard = CountsGuard(shown, reported)
        self._is_checked = False
        self._pick(counters)

    def _add(
        self,
        declaration: Declaration,
        numbers: list[int],
        targets: dict[int, int],
        known_lines: Lines | None,
    ) -> None:
        """Add a metric; ``targets`` has the label sets to which others of it are added."""
        self.size += len(numbers)
        every = dict.fromkeys([*numbers, *targets.values()])
        shown = [number for number in every if number not in targets]
        named = [self._interned.series[number] for number in shown]
        moved = [self._interned.series[number].labels for number in targets]
        if declaration.type == GAUGE:
            firsts = firsts_of(shown, targets, self._indexes)
            self._gauges.append(Gauges(declaration, named, firsts, moved))
        else:
            first = self._totals[-1].end if self._totals else 0
            # What was lost was counted in the gauge from the first.
            added = targets | {self._gauges_of[one]: one for one in shown if one in self._gauges_of}
            starts = Starts(groups(shown, added), self._indexes)
            homes = exemplars.homes_of(self._cells.get(declaration, ()), shown, targets)
            totals = Totals(declaration, named, first, known_lines, moved, starts, homes)
            self._totals.append(totals)
            self.lines[declaration] = totals.lines
            self._order.add(shown, targets, declaration.width)

    def _pick(self, counters: dict[int, int]) -> None:
        """Note where in each file the values are, and in which total each is counted."""
        places = self._order.places()
        self._picks = Picks(self._order, places, self._indexes)
        self._lost = [
            (places[counter], [index.firsts.get(gauge) for index in self._indexes])
            for gauge, counter in counters.items()
        ]

    def families(self, readings: Sequence[Reading], on_damage: OnDamage) -> list[Family]:
        """Return the metrics with the values of ``readings``."""
        rows = [doubles_of(reading.content) for reading in readings]
        self._guard.leave_out(rows)
        totals = self._picks.added(rows)
        if rows and not (self._is_checked and self._guard.are_sound(totals)):
            self._is_checked = True
            self._check(readings, rows, on_damage)
            totals = self._picks.added(rows)
        for place, firsts in self._lost:
            totals[place] += sum(
                gauges.lost(part.values, part.is_held) for part in parts_of(firsts, readings, rows)
            )
        find_total = cache(partial(self._blocks.total, readings, on_damage))
        return [
            *(
                part.family(
                    totals,
                    readings,
                    rows,
                    self._finding_natives(part, totals, find_total, on_damage),
                )
                for part in self._totals
            ),
            *(part.family(readings, rows) for part in self._gauges),
        ]

    @property
    def label_sets(self) -> dict[object, LabelSet]:
        """Return what is remembered of the native buckets of each label set."""
        return {one.identity: one for part in self._natives.values() for one in part.label_sets}

    def _finding_natives(
        self,
        part: Totals,
        totals: Sequence[float],
        find_total: Callable[[], bytes],
        on_damage: OnDamage,
    ) -> Callable[[], NativeHistograms | None]:
        natives = self._natives.get(part.declaration)
        if natives is None:
            return nothing

        def find() -> NativeHistograms | None:
            try:
                return natives.histograms(find_total(), part.sums(totals))
            except Exception as error:
                pass_on(error)
                on_damage(error, part.declaration.name)
                return None

        return cache(find)

    def _check(
        self, readings: Sequence[Reading], rows: list[array[float]], on_damage: OnDamage
    ) -> None:
        for slot, row in enumerate(rows):
            if not self._guard.are_sound(self._picks.of(slot, row)):
                firsts = self._indexes[slot].firsts
                self._guard.find(slot, readings[slot], row, firsts, on_damage)
        self._guard.leave_out(rows)
