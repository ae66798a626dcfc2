"""This process's part in the store: which file it writes, and how its values change.

A process claims a memory-mapped file when one of its values changes for the first time, and a
forked child claims another. Values that the file has no room for, or that no other process is to
read, are in an annex in memory.

``Store`` is made of ``Changes``, the queue that keeps changes apart; ``Allocator``, which finds
the record of each label set; ``Acquisition``, which claims the file; ``Maintenance``, which looks
after it once a second; and ``Reader``, which reads the files of all processes.
"""

from __future__ import annotations

from tachikoma_metrics.store.writer.store import STORE, Store

__all__ = ["STORE", "Store"]
