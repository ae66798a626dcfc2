"""Files that other packages keep beside the memory-mapped files, such as a history of the values.

They belong to the service as its totals do: a service that starts from zero removes them, and they
are removed with the directory.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.store.files import TemporaryFile, names_in, replace
from tachikoma_metrics.store.lease import Lease
from tachikoma_metrics.store.permissions import require_private

PREFIX = "attached-"
"""What the names of these files begin with."""

_LOCK = ".lock"
_UNFINISHED = ".unfinished"
_LARGEST_SIZE = 1 << 26


class Attachment:
    """A file of this name in the directory at ``path``, which exists."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = PREFIX + name

    def version(self) -> tuple[int, ...] | None:
        """Return what differs for each content of the file; None if there is none."""
        with suppress(OSError), self._opened() as directory:
            status = os.stat(self._name, dir_fd=directory, follow_symlinks=False)
            return status.st_mtime_ns, status.st_ino, status.st_size
        return None

    def read(self) -> bytes | None:
        """Return the content of the file; None if there is none, or it cannot be read."""
        with (
            suppress(OSError),
            self._opened() as directory,
            TemporaryFile(self._name, os.O_RDONLY, directory) as file,
        ):
            size = os.fstat(file.descriptor).st_size
            return os.read(file.descriptor, size) if size <= _LARGEST_SIZE else None
        return None

    def replace(self, content: bytes) -> None:
        """Replace the file, completely or not at all; raise ``OSError`` if that fails.

        Called by the process that holds its lease.
        """
        with self._opened() as directory:
            replace(directory, self._name, content, self._name + _UNFINISHED)

    def lease(self) -> Lease:
        """Return the lease of the right to replace the file; no process holds it yet."""
        return Lease(self._name + _LOCK)

    @contextmanager
    def locked(self) -> Iterator[bool]:
        """Hold the lease while the block lasts, without waiting; return whether it is held."""
        lease, is_held = self.lease(), False
        with suppress(OSError):
            is_held = lease.acquire(self._path)
        try:
            yield is_held
        finally:
            lease.release()

    @contextmanager
    def _opened(self) -> Iterator[int]:
        with TemporaryFile(self._path, os.O_RDONLY | os.O_DIRECTORY) as directory:
            require_private(self._path, os.fstat(directory.descriptor))
            yield directory.descriptor


def remove_all(directory: int) -> None:
    """Remove the attachments in an open directory, except for their locks."""
    for name in names_in(directory):
        if name.startswith(PREFIX) and not name.endswith(_LOCK):
            with suppress(OSError):
                os.unlink(name, dir_fd=directory)
