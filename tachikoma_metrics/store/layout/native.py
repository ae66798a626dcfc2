"""Native buckets of histograms, and the blocks in which they are counted.

https://prometheus.io/docs/specs/native_histograms/
"""

from __future__ import annotations

from typing import NamedTuple

BLOCK = "block"
"""The type of what a histogram counts in adjacent native buckets."""

BLOCK_BITS = 5
BLOCK_SIZE = 1 << BLOCK_BITS
"""Native buckets in a block: those of four powers of two in the default schema. With less, the text
of a record would be longer than its counts."""

LAST_PLACE = BLOCK_SIZE - 1

LARGEST_COUNT = 2**53
"""Counts of a block are below it; they are integers, so that blocks of processes can be added up as
one long integer each."""

ZERO = "zero"
"""The key of the block with the count of the zero bucket, and of what is not a number.

The others have the number of their first lane divided by the size of a block, after ``NEGATIVE``
for observations below zero. The lane of a bucket is the index that Prometheus gives it, plus the
number of buckets of one power of two, which saves a subtraction for each observation.
"""

ZERO_PLACE, NAN_PLACE = 0, 1

NEGATIVE = "n"

_SCHEMAS = range(9)
"""Schemas with at least one bucket for a power of two, which is then the bound of one."""

_EXPONENTS = range(-1074, 1025)
"""Exponents of floating point numbers."""


class Native(NamedTuple):
    """Which native buckets a histogram has, the same for each process and for ever.

    There are ``2 ** schema`` buckets for a power of two. What is within ``2 ** zero_exponent`` of
    zero is in the zero bucket. What is finite, and further from zero than ``2 ** top_exponent``, is
    counted in the bucket of that number.
    """

    schema: int
    zero_exponent: int
    top_exponent: int


def is_known(native: Native) -> bool:
    """Return whether the values of all fields have a meaning."""
    return native.schema in _SCHEMAS and {*native[1:]} <= {*_EXPONENTS}
