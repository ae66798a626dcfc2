"""A lease: what one process of a service does at a time, such as sending its values.

The process that has locked the file of the lease holds it. The kernel releases the lock when that
process ends, however it ends: https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import os
import struct

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store.files import TemporaryFile
from tachikoma_metrics.store.permissions import require_private

_NUMBER = struct.Struct("=q")


class Lease:
    """The lease of one name, which this process may hold in one directory of a service.

    The file has a number for the next holder. A forked child holds nothing.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._path = ""
        self._holder = 0
        self._file: TemporaryFile | None = None

    def acquire(self, path: str) -> bool:
        """Return whether this process holds the lease of the directory at ``path`` from now on.

        It does not wait. Raises ``OSError`` if the directory does not exist, is not private, or
        has no locks.
        """
        if self.is_held(path):
            return True
        self.release()
        with TemporaryFile(path, os.O_RDONLY | os.O_DIRECTORY) as directory:
            require_private(path, os.fstat(directory.descriptor))
            file = TemporaryFile(self._name, os.O_RDWR | os.O_CREAT, directory.descriptor)
        is_locked = False
        try:
            is_locked = file.lock()
        finally:
            if not is_locked:
                file.close()
        if not is_locked:
            return False
        self._path, self._holder, self._file = path, os.getpid(), file
        # It may have been replaced while this process waited for it.
        return self.is_held(path)

    def is_held(self, path: str) -> bool:
        """Return whether this process holds the lease of the directory at ``path``.

        It no longer does if the file was replaced.
        """
        file = self._file
        if file is None or self._holder != os.getpid() or self._path != path:
            return False
        try:
            there = os.stat(os.path.join(path, self._name), follow_symlinks=False)
            return os.path.samestat(there, os.fstat(file.descriptor))
        except OSError as error:
            pass_on(error)
            return False

    def release(self) -> None:
        """Release the lease, for another process."""
        file, self._file = self._file, None
        if file is not None and self._holder == os.getpid():
            file.close()

    @property
    def number(self) -> int:
        """Return the number that a holder has left; 0 if there is none."""
        content = b"" if self._file is None else os.pread(self._file.descriptor, _NUMBER.size, 0)
        return int(_NUMBER.unpack(content)[0]) if len(content) == _NUMBER.size else 0

    @number.setter
    def number(self, number: int) -> None:
        if self._file is not None:
            os.pwrite(self._file.descriptor, _NUMBER.pack(number), 0)
