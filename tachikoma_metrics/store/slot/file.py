"""A slot in a memory-mapped file, which other processes read."""

from __future__ import annotations

import errno
import mmap
import os

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store.files import TemporaryFile
from tachikoma_metrics.store.layout import Header
from tachikoma_metrics.store.slot.records import Slot

_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.EINVAL)
"""Errors of file systems without fallocate(): zeros are written there instead."""


class FileSlot(Slot):
    """A slot in a file, which other processes read while this process writes it.

    ``file`` is locked, by which other processes know that this one is live; it stays open.
    Raises ``OSError`` if the file system has no room.
    """

    def __init__(self, file: TemporaryFile, path: str, size: int) -> None:
        super().__init__(size)
        self.path = path
        self._map: mmap.mmap | None = None
        self._descriptor = file.descriptor
        # From here on, a child that is forked in another thread closes it.
        _open.add(self)
        status = os.fstat(file.descriptor)
        self._identity = (status.st_dev, status.st_ino)
        self._grow(size)
        file.keep()

    @property
    def directory(self) -> str:
        """Return the path of the file's directory."""
        return os.path.dirname(self.path)

    @property
    def serial(self) -> int:
        """Return the serial number of the file."""
        return self.header().serial

    @property
    def number(self) -> int:
        """Return the number of the slot among those of the service."""
        return int(self.path.rpartition("-")[2])

    def _grow(self, size: int) -> None:
        reserve(self._descriptor, size)
        mapped = mmap.mmap(self._descriptor, size)
        self._show(memoryview(mapped))
        if self._map is not None:
            self._map.close()
        self._map = mapped

    def is_in_place(self) -> bool:
        """Return whether other processes still find this file at its path, undamaged."""
        try:
            status = os.stat(self.path, follow_symlinks=False)
        except OSError as error:
            pass_on(error)
            return False
        return (status.st_dev, status.st_ino) == self._identity and self._is_sound()

    def _is_sound(self) -> bool:
        try:
            return self.header().used == self.used
        except ValueError:
            return False

    def note_cpu(self, seconds: float) -> None:
        """Record the CPU seconds of this process; they never fall."""
        self.set_header(cpu_seen=max(seconds, self.header().cpu_seen))

    def take_cpu_from(self, header: Header) -> None:
        """Add the CPU seconds of this process's former file."""
        own = self.header()
        self.set_header(
            cpu_left=own.cpu_left + header.cpu_left, cpu_seen=max(own.cpu_seen, header.cpu_seen)
        )

    def close(self) -> None:
        """Close the file; the lock ends with the last process that has it open.

        A forked child calls this too: a descriptor or a mapping that it kept would hold its
        parent's lock after the parent's death. It must not unlock: that would unlock the
        parent's file.
        """
        _open.discard(self)
        self.release_views()
        if self._map is not None:
            with suppress(BufferError):
                self._map.close()
            self._map = None
        if self._descriptor >= 0:
            with suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1


_open: set[FileSlot] = set()
"""The files that this process has open, unfinished ones included."""


def close_all() -> None:
    """Close, in a forked child, all files that its parent had open."""
    for slot in list(_open):
        slot.close()


def reserve(descriptor: int, size: int) -> None:
    """Reserve ``size`` bytes on the file system; raise ``OSError`` if it cannot.

    A write to a mapped page without room on the disk would end the process with SIGBUS.
    https://man7.org/linux/man-pages/man3/posix_fallocate.3.html
    """
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, size)
            return
        except OSError as error:
            pass_on(error)
            if error.errno not in _CANNOT_RESERVE:
                raise
    current = os.fstat(descriptor).st_size
    while current < size:
        current += os.pwrite(descriptor, bytes(size - current), current)
