"""The values of all processes, as this process reads them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store import system
from tachikoma_metrics.store.directory import Directory
from tachikoma_metrics.store.incomplete import Incomplete, is_passing
from tachikoma_metrics.store.places import preferred
from tachikoma_metrics.store.reading import Reading
from tachikoma_metrics.store.slot import FileSlot
from tachikoma_metrics.store.writer.allocator import Allocator
from tachikoma_metrics.store.writer.attempts import Attempts
from tachikoma_metrics.store.writer.changes import Changes

_SECONDS_TO_COME_BACK = 1.5
"""Within this time, each process whose values change checks that its file exists."""


class Reader:
    """Read the files of all processes; ``revisit`` is called if that of this one is missing."""

    def __init__(
        self,
        changes: Changes,
        attempts: Attempts,
        allocator: Allocator,
        revisit: Callable[[], None],
    ) -> None:
        self._changes = changes
        self._attempts = attempts
        self._allocator = allocator
        self._revisit = revisit

    def readings(self) -> list[Reading]:
        """Return what is in the files of all processes; where there are none, in the annex."""
        allocator = self._allocator
        while True:
            before, slot = allocator.moves, allocator.slot
            try:
                found = self._in_slots(slot) or self._in_annex()
            except ValueError:
                # It grew in another thread while this one looked.
                continue
            # What moved from the annex meanwhile is in neither or in both.
            if (allocator.moves, allocator.slot) == (before, slot):
                return found

    def _in_annex(self) -> list[Reading]:
        if self._changes.where() and system.has_siblings():
            default = LookupError("this process has no file among theirs yet")
            error = self._attempts.last_error or default
            raise Incomplete("What the other processes have counted", error)
        annex = self._allocator.annex
        identity = (0, annex.serial)
        return [Reading(-1, identity, *annex.copy(), is_held=True, is_private=True)]

    def _in_slots(self, slot: FileSlot | None) -> list[Reading]:
        try:
            if slot is None:
                return self._in_first_place()
            found = self._read(slot.directory)
        finally:
            self._changes.apply_pending()
        serials = {one.header.serial for one in found}
        if slot is self._allocator.slot and slot.serial not in serials:
            # The next change makes it again.
            self._revisit()
            raise Incomplete(slot.path, LookupError("it was removed or damaged"))
        _require_applied(slot.directory, found)
        return found

    def _in_first_place(self) -> list[Reading]:
        """Return what is in the files of other processes, without one of this process's."""
        for path in self._changes.where():
            try:
                found = self._read(path)
            except Incomplete as error:
                if error.__cause__ is None or is_passing(error.__cause__):
                    raise
                # The claim has reported a directory that no process of the service can use.
                continue
            if found:
                return found
        return []

    def _read(self, path: str) -> list[Reading]:
        try:
            return Directory(path).readings(self._changes.report)
        except (OSError, MemoryError) as error:
            pass_on(error)
            raise Incomplete(path, error) from error

    def note_cpu(self, seen: Iterable[tuple[Reading, float]]) -> None:
        """Record the CPU seconds of the files' holders, for the time after their death."""
        path = self.directory()
        if path is not None:
            Directory(path).note_cpu(seen)

    def directory(self) -> str | None:
        """Return the directory in which the service has its files; None if it has none."""
        if self._allocator.slot is not None:
            return self._allocator.slot.directory
        return next(filter(os.path.isdir, preferred(self._changes.where())), None)


def _require_applied(path: str, readings: Iterable[Reading]) -> None:
    """Raise ``Incomplete`` while the processes of a directory that was removed come back."""
    now = time.monotonic()
    if any(0 <= now - one.header.moved_at < _SECONDS_TO_COME_BACK for one in readings):
        raise Incomplete(path, LookupError("it was removed, and processes are coming back to it"))
