"""Native buckets of all processes, which add up block by block.

The counts of a file's blocks, one after the other in the same order for each file, are one long
integer. Adding up those of all files adds up all counts, because none of them exceeds its 64 bits.
So there is no Python code for each count, and none for each block.
"""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

from tachikoma_metrics.store.label_sets import FileIndex, InternedLabelSets
from tachikoma_metrics.store.layout import (
    BLOCK_SIZE,
    DOUBLE,
    LARGEST_COUNT,
    NAN_PLACE,
    NEGATIVE,
    ZERO,
    ZERO_PLACE,
    Damaged,
    Declaration,
    Series,
)
from tachikoma_metrics.store.merge.counts import OnDamage, Reported
from tachikoma_metrics.store.native_histograms import (
    NO_BUCKETS,
    Buckets,
    NativeHistogram,
    NativeHistograms,
    Run,
    deltas_of,
    empty,
)
from tachikoma_metrics.store.reading import Reading

_BYTES = BLOCK_SIZE * DOUBLE
_ZEROS = bytes(_BYTES)
_NOTHING = slice(0, 0)
_UNSOUND = (2**64 - LARGEST_COUNT).to_bytes(DOUBLE, sys.byteorder) * BLOCK_SIZE
"""The bits of a block that are zero in all counts."""

_MASK = int.from_bytes(_UNSOUND, sys.byteorder)

_KEY = re.compile(rf"{ZERO}|{NEGATIVE}?-?[0-9]{{1,4}}")


@dataclass
class Place:
    """Which block has its counts at one place of the total, and which others are added to it."""

    own: int | None = None
    others: list[int] = field(default_factory=list)


class Blocks:
    """Add up the blocks of all files; ``add`` says which, in the order of their counts."""

    def __init__(
        self, interned: InternedLabelSets, indexes: Sequence[FileIndex], reported: Reported
    ) -> None:
        self._interned = interned
        self._indexes = indexes
        self._reported = reported
        self._places: list[Place] = []
        self._files: list[_File] | None = None
        self._mask = 0

    def add(self, places: Iterable[Place]) -> None:
        """Append blocks to the total."""
        self._places += places

    @property
    def size(self) -> int:
        """Return the number of bytes of the total."""
        return len(self._places) * _BYTES

    def total(self, readings: Sequence[Reading], on_damage: OnDamage) -> bytes:
        """Return the counts of all files together."""
        if self._files is None:
            self._mask = int.from_bytes(_UNSOUND * len(self._places), sys.byteorder)
            self._files = [_File(self._places, index.firsts) for index in self._indexes]
        counted = 0
        for file, reading in zip(self._files, readings, strict=True):
            content = reading.content
            packed = file.packed(content, self._mask)
            if not file.is_sound or file.has_others:
                for number in file.leave_out_unsound(content):
                    self._report(self._interned.series[number], reading, on_damage)
                packed = file.packed(content, self._mask) + file.added(content)
            counted += packed
        return counted.to_bytes(self.size, sys.byteorder)

    def _report(self, series: Series, reading: Reading, on_damage: OnDamage) -> None:
        if (reading.identity, series) not in self._reported:
            self._reported.add((reading.identity, series))
            trouble = f"{series.declaration.name} must have native buckets with counts."
            on_damage(Damaged(trouble), f"slot {reading.number}")


class _File:
    """Where one file has its blocks; one that it does not have, or that is left out, is zeros."""

    def __init__(self, places: Sequence[Place], firsts: Mapping[int, int]) -> None:
        self._places = places
        self._firsts = firsts
        self._left_out: set[int] = set()
        self._pick: Callable[[bytes], tuple[bytes, ...]] | None = None
        self._arrange: Callable[[tuple[bytes, ...]], tuple[bytes, ...]] = tuple
        self._counts = b""
        self._packed = 0
        self.is_sound = True
        self.has_others = any(number in firsts for place in places for number in place.others)

    def packed(self, content: bytes, mask: int) -> int:
        """Return the counts of all blocks, without those that are added to others.

        ``mask`` has the bits that are zero in all counts; ``is_sound`` says if they were.
        """
        if self._pick is None:
            self._pick = self._prepare()
        counts = b"".join(self._arrange((_ZEROS, *self._pick(content))))
        if counts != self._counts:
            self._counts = counts
            self._packed = int.from_bytes(counts, sys.byteorder)
            self.is_sound = not self._packed & mask
        return self._packed

    def _prepare(self) -> Callable[[bytes], tuple[bytes, ...]]:
        found = [self._slice_of(place.own) for place in self._places]
        present = [one for one in found if one is not None]
        if len(present) < len(found):
            numbers = itertools.count(1)
            order = [0 if one is None else next(numbers) for one in found]
            # The last is that of nothing, because it would return no tuple of one.
            self._arrange = itemgetter(*order, -1)
        else:
            self._arrange = itemgetter(slice(1, None))
        # With fewer than two slices it would return no tuple.
        return itemgetter(*present, _NOTHING, _NOTHING)

    def added(self, content: bytes) -> int:
        """Return the counts of the blocks that are added to others."""
        if not self.has_others:
            return 0
        rows = [self._sum_of(place.others, content) for place in self._places]
        return int.from_bytes(b"".join(rows), sys.byteorder)

    def _sum_of(self, numbers: Sequence[int], content: bytes) -> bytes:
        found = filter(None, map(self._slice_of, numbers))
        counts = sum(int.from_bytes(content[one], sys.byteorder) for one in found)
        return counts.to_bytes(_BYTES, sys.byteorder)

    def leave_out_unsound(self, content: bytes) -> list[int]:
        """Leave out, from now on, the blocks that hold anything but counts; return them."""
        every = [number for place in self._places for number in (place.own, *place.others)]
        unsound = [
            number for number in every if number is not None and not self._is_sound(number, content)
        ]
        if unsound:
            self._left_out.update(unsound)
            self._pick = None
        return unsound

    def _is_sound(self, number: int, content: bytes) -> bool:
        place = self._slice_of(number)
        return place is None or not int.from_bytes(content[place], sys.byteorder) & _MASK

    def _slice_of(self, number: int | None) -> slice | None:
        first = None if number is None else self._firsts.get(number)
        if first is None or number in self._left_out:
            return None
        return slice(first * DOUBLE, first * DOUBLE + _BYTES)


def blocks_by_label_set(
    interned: InternedLabelSets, numbers: Iterable[int], targets: Mapping[int, int]
) -> dict[tuple[str, ...], dict[str, Place]]:
    """Return the blocks of each label set that is shown, by their keys.

    ``targets`` has the label sets that are not shown, with those that they are added to.
    """
    moved = {
        interned.series[number].labels: interned.series[target].labels
        for number, target in targets.items()
    }
    found: dict[tuple[str, ...], dict[str, Place]] = {}
    for number in numbers:
        *values, key = interned.series[number].labels
        labels = tuple(values)
        shown = moved.get(labels, labels)
        if not _KEY.fullmatch(key):
            continue
        place = found.setdefault(shown, {}).setdefault(key, Place())
        if shown == labels:
            place.own = number
        else:
            place.others.append(number)
    return found


class NativeTotals:
    """The native buckets of a histogram, one set for each of ``label_sets``.

    ``known`` has what was remembered of label sets with the same blocks.
    """

    def __init__(
        self,
        declaration: Declaration,
        label_sets: Sequence[tuple[str, ...]],
        found: Mapping[tuple[str, ...], Mapping[str, Place]],
        blocks: Blocks,
        known: Mapping[object, LabelSet],
    ) -> None:
        self.label_sets: list[LabelSet] = []
        self._first = blocks.size
        self._ends: list[int] = []
        for labels in label_sets:
            of_labels = found.get(labels, {})
            keys = tuple(sorted(of_labels, key=_order))
            identity = (declaration, labels, keys)
            self.label_sets.append(known.get(identity) or LabelSet(identity, declaration, keys))
            blocks.add(of_labels[key] for key in keys)
            self._ends.append(blocks.size)

    def histograms(self, total: bytes, sums: Sequence[float]) -> NativeHistograms:
        """Return what was counted, given the counts of all blocks."""
        begin = self._first
        found = []
        for label_set, end in zip(self.label_sets, self._ends, strict=True):
            found.append(label_set.histogram(total[begin:end]))
            begin = end
        return NativeHistograms(found, sums)


def _order(key: str) -> tuple[bool, bool, int]:
    """Return the order of blocks: that of the zero bucket, then negative ones, then positive."""
    if key == ZERO:
        return False, False, 0
    return True, not key.startswith(NEGATIVE), int(key.removeprefix(NEGATIVE))


class LabelSet:
    """The native buckets of one label set, whose blocks have ``keys``, in order.

    Which buckets are exposed is remembered: it seldom changes.
    """

    def __init__(self, identity: object, declaration: Declaration, keys: Sequence[str]) -> None:
        self.identity = identity
        self._histogram = empty(declaration.native)  # type: ignore[arg-type]  # It has native buckets.
        self._counts: bytes | None = None
        self._has_zero = ZERO in keys
        lanes = 2**self._histogram.schema
        negative = [key for key in keys if key.startswith(NEGATIVE)]
        positive = [key for key in keys if key not in (ZERO, *negative)]
        self._negative = _Side(negative, lanes, BLOCK_SIZE * self._has_zero)
        self._positive = _Side(positive, lanes, self._negative.end)

    def histogram(self, counts: bytes) -> NativeHistogram:
        """Return what was counted; the same object if ``counts`` are those of the last time."""
        if counts != self._counts:
            words: list[Any] = memoryview(counts).cast("Q").tolist()
            self._histogram = NativeHistogram(
                self._histogram.schema,
                self._histogram.zero_threshold,
                words[ZERO_PLACE] if self._has_zero else 0,
                words[NAN_PLACE] if self._has_zero else 0,
                self._positive.buckets(words),
                self._negative.buckets(words),
            )
            self._counts = counts
        return self._histogram


class _Side:
    """The buckets on one side of zero, whose counts begin at ``first`` among those of all."""

    def __init__(self, keys: Sequence[str], lanes: int, first: int) -> None:
        self._first = first
        self.end = first + len(keys) * BLOCK_SIZE
        self._begins = [int(key.removeprefix(NEGATIVE)) * BLOCK_SIZE - lanes for key in keys]
        self._find(Run())

    def _find(self, run: Run) -> None:
        self._spans = run.spans
        self._pick = itemgetter(*run.places) if len(run.places) > 1 else _picking(run.places)

    def buckets(self, counts: Sequence[int]) -> Buckets:
        """Return the buckets, given the counts of all."""
        if self.end == self._first:
            return NO_BUCKETS
        picked = self._pick(counts)
        is_all = self.end - self._first == len(counts)
        total = sum(counts if is_all else counts[self._first : self.end])
        if sum(picked) != total:
            indexes = (begin + lane for begin in self._begins for lane in range(BLOCK_SIZE))
            places = range(self._first, self.end)
            self._find(Run.of(zip(places, indexes, counts[self._first :], strict=False)))
            picked = self._pick(counts)
        return Buckets(self._spans, deltas_of(picked), total)


def _picking(places: Sequence[int]) -> Callable[[Any], tuple[int, ...]]:
    return lambda counts: tuple([counts[place] for place in places])
