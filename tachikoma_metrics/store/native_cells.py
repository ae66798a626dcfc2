"""Cells of histograms that count in native buckets, too.

The counts of adjacent native buckets are a *block*, which has a separate record. It is made when
one of its buckets is first needed, and never moves or changes its meaning, so that the blocks of
all processes add up.

A bucket is given as its *lane*: the index that Prometheus gives it, plus those of one power of two,
which saves a subtraction for each observation.

https://prometheus.io/docs/specs/native_histograms/#buckets
"""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache
from math import frexp
from time import perf_counter
from typing import Any

from tachikoma_metrics.store.cells import NOWHERE, Cell
from tachikoma_metrics.store.exclusion import one_at_a_time
from tachikoma_metrics.store.layout import (
    BLOCK_BITS,
    BLOCK_SIZE,
    LAST_PLACE,
    NAN_PLACE,
    NEGATIVE,
    ZERO,
    ZERO_PLACE,
    Native,
)

_LARGEST_EXPONENT = 1024
"""That of finite floating point numbers."""


@lru_cache
def fractions_of(schema: int) -> tuple[float, ...]:
    """Return the bounds of the buckets from 0.5 to below 1."""
    return tuple(2.0 ** (number / 2**schema - 1) for number in range(2**schema))


SLOTS = ("blocks", "fractions", "schema", "top_lane", "words", "zero_threshold")
"""The slots of a class that derives from ``NativeCell`` and from another with slots."""


class NativeCell(Cell):
    """Hold the values of a histogram with native buckets, or the sum of one.

    ``blocks`` are the indexes of the blocks in ``words``, which shows the bytes of ``memory``. It
    has all those that are in use, or does not have them yet.
    """

    __slots__ = ()

    blocks: dict[object, int]
    words: Any
    schema: int
    fractions: tuple[float, ...]
    zero_threshold: float
    top_lane: int

    def _count_natively(self, native: Native) -> None:
        values = {
            "schema": native.schema,
            "fractions": fractions_of(native.schema),
            "zero_threshold": math.ldexp(1.0, native.zero_exponent),
            "top_lane": native.top_exponent + 1 << native.schema,
            "blocks": {},
            "words": NOWHERE,
        }
        # Those that derive from this class have slots for them.
        for name, value in values.items():
            setattr(self, name, value)

    def add_now(self, amount: float) -> None:
        """Add ``amount``. Call it only within ``STORE.change``."""
        try:
            self.memory[self.index] += amount
        except ValueError:
            self.blocks.clear()
            super().add_now(amount)

    @one_at_a_time
    def observe(self, amount: float) -> None:
        """Add an observation to a histogram."""
        # As Store.change() does, without its calls.
        store, now = self.store, perf_counter()
        was_busy = True
        try:
            was_busy, store.busy = store.busy, True
            if was_busy:
                store.pending.append((self.observe_now, (amount,)))
            else:
                if now >= store.due or not store.alive[0]:
                    store.maintain(now)
                self.observe_now(amount)
        finally:
            if not was_busy:
                store.busy = False
        if store.pending:
            store.apply_pending()

    def observe_now(self, amount: float) -> None:
        """Add an observation. Call it only within ``STORE.change``."""
        try:
            if self.zero_threshold < amount < math.inf:
                fraction, exponent = frexp(amount)
                lane = bisect_left(self.fractions, fraction) + (exponent << self.schema)
                native = self.blocks[lane >> BLOCK_BITS] + (lane & LAST_PLACE)
            elif 0 <= amount <= self.zero_threshold:
                native = self.blocks[ZERO]
            else:
                self._observe_slowly(amount)
                return
            bounds, words, index = self.bounds, self.words, self.index
            bucket = index if bounds is None else index + 1 + bisect_left(bounds, amount)
            # If one of these raises, it is the first; no exception from outside appears between.
            self.memory[index] += amount
            if bounds is not None:
                self.memory[bucket] += 1.0
            words[native] += 1
        except (LookupError, ValueError):
            # A block that is not placed yet, or memory that was released.
            self._observe_slowly(amount)

    def _observe_slowly(self, amount: float) -> None:
        key, place = self._place_of(amount)
        words, native = self._block(key)
        native += place
        bounds = self.bounds or ()
        bucket = bisect_left(bounds, amount)
        # NaN is below no bound, and bisect_left() puts it below the first.
        has_bucket = amount == amount and bucket < len(bounds)
        # No exception from outside can appear between these.
        self.memory[self.index] += amount
        if has_bucket:
            self.memory[self.index + 1 + bucket] += 1.0
        words[native] += 1

    def _place_of(self, amount: float) -> tuple[object, int]:
        """Return the key of the block of an observation, and its place there."""
        if amount != amount:
            return ZERO, NAN_PLACE
        size = abs(amount)
        if size <= self.zero_threshold:
            return ZERO, ZERO_PLACE
        block, place = divmod(self._lane_of(size), BLOCK_SIZE)
        return (block if amount > 0 else f"{NEGATIVE}{block}"), place

    def _lane_of(self, size: float) -> int:
        if size == math.inf:
            # Above the bucket of the largest number.
            return (_LARGEST_EXPONENT + 1 << self.schema) + 1
        fraction, exponent = frexp(size)
        lane = bisect_left(self.fractions, fraction) + (exponent << self.schema)
        return min(lane, self.top_lane)

    def _block(self, key: object) -> tuple[Any, int]:
        """Return the memory and the index of a block; make it if there is none."""
        while True:
            self.add_now(0.0)
            if key in self.blocks:
                return self.words, self.blocks[key]
            memory = self.memory
            block = self.store.place_block(self, key)
            if block is None:
                # It was reported, or no other process is to read the values.
                return [0] * BLOCK_SIZE, 0
            # The last block has buckets that no observation uses, and is never remembered.
            if block.is_beside and key != self.top_lane >> BLOCK_BITS:
                self.words = block.words
                self.blocks[key] = block.first
            elif not _is_released(memory):
                # There was no room for it in the file: the next observation looks for it again.
                return block.words, block.first


def _is_released(memory: Any) -> bool:
    try:
        return not len(memory)
    except ValueError:
        return True
