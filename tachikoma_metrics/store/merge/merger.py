"""Merge the readings of all processes, and remember what two scrapes have in common."""

from __future__ import annotations

from collections.abc import Sequence

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store.families import Family
from tachikoma_metrics.store.label_sets import Identity, Layout, Names
from tachikoma_metrics.store.limits import NO_LIMITS, Limits
from tachikoma_metrics.store.merge.counts import OnDamage, Reported
from tachikoma_metrics.store.merge.plan import Plan
from tachikoma_metrics.store.reading import ARCHIVE, Reading


class Merger:
    """Merge readings, remembering what the last ones had in common with the next."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._names = Names()
        self._layouts: dict[Identity, Layout] = {}
        self._reported: Reported = set()
        self._plan = Plan(self._names, [], [], {}, NO_LIMITS, self._reported)

    def merge(
        self, readings: Sequence[Reading], on_damage: OnDamage, limits: Limits = NO_LIMITS
    ) -> list[Family]:
        """Return the families that any of the slots has, with the label sets within ``limits``.

        Damaged parts of a slot are left out, and reported of once.
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
            lines, reported = self._plan.lines, self._reported
            self._plan = Plan(self._names, layouts, readings, lines, limits, reported)
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
            self._reported.clear()


def _is_mergeable(reading: Reading, on_damage: OnDamage) -> bool:
    try:
        Merger()._merged([reading], on_damage, NO_LIMITS)
    except Exception as error:
        pass_on(error)
        on_damage(error, f"slot {reading.number}")
        return False
    return True
