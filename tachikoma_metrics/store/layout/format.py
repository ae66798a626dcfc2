"""Version and sizes of the memory-mapped files, and the errors for those that cannot be read."""

from __future__ import annotations

MAGIC = b"tmslot\x00\x03"
"""What a slot begins with: its name, and the version of this layout."""

LAYOUT_VERSION = MAGIC[-1]

DOUBLE = 8

LARGEST_SIZE = 1 << 30
"""Bytes a slot may have."""


class Damaged(ValueError):
    """Raised for bytes that are no slot, or no slot any more."""


class OtherLayout(Damaged):
    """Raised for a slot of another version of this layout, as another release writes it."""
