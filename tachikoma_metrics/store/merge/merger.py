"""Merge the readings of all processes, and remember what two scrapes have in common."""

from __future__ import annotations

from collections.abc import Sequence

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store.families import Family
from tachikoma_metrics.store.label_sets import Cells, FileIndex, Identity, InternedLabelSets
from tachikoma_metrics.store.limits import NO_LIMITS, Limits
from tachikoma_metrics.store.merge.counts import OnDamage, Reported
from tachikoma_metrics.store.merge.plan import Plan
from tachikoma_metrics.store.reading import ARCHIVE, Reading


class Merger:
    """Merge readings, and reuse what stays the same from one scrape to the next."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._interned = InternedLabelSets()
        self._indexes: dict[Identity, FileIndex] = {}
        self._reported: Reported = set()
        self._plan = Plan(self._interned, [], [], None, NO_LIMITS, self._reported)

    def merge(
        self, readings: Sequence[Reading], on_damage: OnDamage, limits: Limits = NO_LIMITS
    ) -> list[Family]:
        """Return the metrics that are in any file, with the label sets within ``limits``.

        Damaged parts of a file are left out, and reported once.
        """
        try:
            return self._merged(readings, on_damage, limits)
        except Exception as error:
            pass_on(error)
        # One damaged file must not hide the others.
        self._forget()
        sound = [one for one in readings if _is_mergeable(one, on_damage)]
        return self._merged(sound, on_damage, limits)

    def _merged(
        self, readings: Sequence[Reading], on_damage: OnDamage, limits: Limits
    ) -> list[Family]:
        indexes = [self._index(reading, on_damage) for reading in readings]
        self._indexes = {index.identity: index for index in indexes}
        identities = [index.identity for index in indexes]
        if identities != self._plan.identities or limits is not self._plan.limits:
            known, reported = self._plan, self._reported
            self._plan = Plan(self._interned, indexes, readings, known, limits, reported)
            self._forget_unused()
        return self._plan.families(readings, on_damage)

    def _index(self, reading: Reading, on_damage: OnDamage) -> FileIndex:
        header = reading.header
        identity = (
            *reading.identity,
            reading.number,
            header.generation,
            header.claimed_at,
            header.used,
            len(reading.content),
        )
        if identity in self._indexes:
            return self._indexes[identity]
        firsts: dict[int, int] = {}
        cells: list[Cells] = []
        try:
            self._interned.read(reading.content, header.used, firsts, cells)
        except Exception as error:
            pass_on(error)
            on_damage(error, f"slot {reading.number}")
        return FileIndex(identity, firsts, reading.number == ARCHIVE, cells)

    def _forget_unused(self) -> None:
        # Where label sets come and go, most that were interned are gone.
        if len(self._interned.series) > 1000 + 2 * self._plan.size:
            self._interned = InternedLabelSets()
            self._indexes = {}
            self._reported.clear()


def _is_mergeable(reading: Reading, on_damage: OnDamage) -> bool:
    try:
        Merger()._merged([reading], on_damage, NO_LIMITS)
    except Exception as error:
        pass_on(error)
        on_damage(error, f"slot {reading.number}")
        return False
    return True
