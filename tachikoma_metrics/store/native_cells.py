"""Cells of histograms that count in native buckets, too.

The counts of adjacent native buckets are a *block*, which is a record of its own. It is made when
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
from typing import Any

from tachikoma_metrics.store.cells import NOWHERE, Cell
from tachikoma_metrics.store.layout import (
    BLOCK_SIZE,
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


class NativeCell(Cell):
    """Hold the values of a histogram with native buckets, or the sum of one.

    ``blocks`` are the indexes of the blocks in ``words``, which shows the bytes of ``memory``. It
    has all those that are in use, or does not have them yet.
    """

    __slots__ = ()

    blocks: dict[object, int]
    words: Any
    native: Native
    schema: int
    fractions: tuple[float, ...]
    zero_threshold: float

    def _count_natively(self, native: Native) -> None:
        self.native = native
        self.schema = native.schema
        self.fractions = fractions_of(native.schema)
        self.zero_threshold = math.ldexp(1.0, native.zero_exponent)
        self.blocks = {}
        self.words = NOWHERE

    def add_now(self, amount: float) -> None:
        """Add ``amount``. Call it only within ``STORE.change``."""
        try:
            self.memory[self.index] += amount
        except ValueError:
            self.blocks.clear()
            super().add_now(amount)

    def observe_now(self, amount: float) -> None:
        """Add an observation. Call it only within ``STORE.change``."""
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
        return min(lane, self.native.top_exponent + 1 << self.schema)

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
            if block.is_beside:
                self.words = block.words
                self.blocks[key] = block.index
            elif not _is_released(memory):
                # There was no room for it in the file: it is asked for again.
                return block.words, block.index


def _is_released(memory: Any) -> bool:
    try:
        return not len(memory)
    except ValueError:
        return True
