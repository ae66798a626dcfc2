"""Version and sizes of the memory-mapped files, and the errors for those that cannot be read."""

from __future__ import annotations

MAGIC = b"tmslot\x00\x04"
"""What a file begins with: its type, and the version of this layout."""

LAYOUT_VERSION = MAGIC[-1]

DOUBLE = 8

LARGEST_SIZE = 1 << 30
"""Bytes that a file may have."""


class Damaged(ValueError):
    """Raised for bytes that are not such a file, or not any more."""


class OtherLayout(Damaged):
    """Raised for a file of another version of this layout, which another release wrote."""
