"""The first change in each second checks that this process's file still exists."""

from __future__ import annotations

import time
from collections.abc import Callable

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store.directory import SECONDS_TO_WAIT, Directory
from tachikoma_metrics.store.files import SPARE
from tachikoma_metrics.store.layout import State
from tachikoma_metrics.store.places import is_elsewhere
from tachikoma_metrics.store.recovery import OpenSlots
from tachikoma_metrics.store.slot import FileSlot
from tachikoma_metrics.store.writer.acquisition import Acquisition
from tachikoma_metrics.store.writer.allocator import Allocator
from tachikoma_metrics.store.writer.attempts import Attempts
from tachikoma_metrics.store.writer.changes import Changes


class Maintenance:
    """Check the file of this process, and call the registered callbacks."""

    def __init__(self, changes: Changes, attempts: Attempts, allocator: Allocator) -> None:
        self._changes = changes
        self._allocator = allocator
        self._acquisition = Acquisition(changes, attempts, allocator, self._on_acquired)
        self._calls: list[Callable[[], None]] = []
        self._open = OpenSlots()

    @property
    def acquisition(self) -> Acquisition:
        """Return what claims the file."""
        return self._acquisition

    def add(self, call: Callable[[], None]) -> None:
        """Call ``call`` with each maintenance, and with each file that is claimed."""
        if call not in self._calls:
            self._calls.append(call)

    def call_all(self) -> None:
        """Call everything that was added."""
        for call in self._calls:
            call()

    def _on_acquired(self, slot: FileSlot) -> None:
        self._keep_open(slot)
        self.call_all()

    def run(self) -> None:
        """Check the file, and call the callbacks. Call it only within ``STORE.change``."""
        allocator = self._allocator
        allocator.remove_dropped()
        slot = allocator.slot
        if slot is not None and (not slot.is_in_place() or self._is_misplaced(slot)):
            self._move(slot)
        elif allocator.annex.records and self._acquisition.acquire() is slot:
            allocator.take_from(allocator.annex)
        if self._acquisition.is_to_register:
            self._acquisition.register()
        if allocator.slot is not None:
            allocator.slot.note_cpu(time.process_time())
            self._keep_open(allocator.slot)
            SPARE.restore()
        self.call_all()

    def _is_misplaced(self, slot: FileSlot) -> bool:
        paths = self._changes.where()
        return slot.directory not in paths or is_elsewhere(slot.directory, paths)

    def _move(self, slot: FileSlot) -> None:
        """Move the values of a file that other processes no longer find to another."""
        serial = 0 if slot.is_in_place() else slot.header().serial
        moved_at = time.monotonic() if serial and len(self._open) > 1 else 0.0
        claimed = self._acquisition.acquire_another(serial, moved_at)
        if claimed is not None:
            claimed.take_cpu_from(slot.header())
        self._allocator.take_from(slot)
        if serial and claimed is not None:
            slot.set_header(state=State.MOVED)
            self._write_back(claimed, serial)
        slot.close()

    def _write_back(self, slot: FileSlot, serial: int) -> None:
        """Write what this process knows of the files that were removed with its own."""
        directory = Directory(slot.directory)
        try:
            directory.write_back(self._open, SECONDS_TO_WAIT)
        except OSError as error:
            pass_on(error)
            self._changes.report(error, slot.directory)
        directory.remove_copy(serial)

    def _keep_open(self, slot: FileSlot) -> None:
        with suppress(OSError):
            if slot.is_in_place() and not self._acquisition.is_moving:
                Directory(slot.directory).keep_open(self._open)

    def renew(self) -> None:
        """Keep nothing open, in a forked child, that its parent kept open."""
        self._open.close()
