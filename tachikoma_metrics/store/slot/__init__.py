"""A slot: the records of one process, in a memory-mapped file or in memory."""

from __future__ import annotations

from tachikoma_metrics.store.slot.file import FileSlot, close_all, reserve
from tachikoma_metrics.store.slot.memory import MemorySlot
from tachikoma_metrics.store.slot.records import FIRST_SIZE, Slot

__all__ = ["FIRST_SIZE", "FileSlot", "MemorySlot", "Slot", "close_all", "reserve"]
