"""Files that are open for a short time, with locks that end when they are closed."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from types import TracebackType
from typing import TypeVar

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store.incomplete import NO_DESCRIPTORS

try:
    import fcntl
except ImportError:  # Windows has none: there, no directory can be used.
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None
"""Whether this system has locks, by which live processes are known."""

_UNFINISHED = "replacement"

Result = TypeVar("Result")

_open: set[TemporaryFile] = set()


class SpareDescriptors:
    """Descriptors that are reserved for when the process, or the system, has no others.

    Clients may use up the descriptors of a server by connections alone: without a reserve, no
    file of another process could be read then.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[int] = []
        self._identity = (0, 0)
        self._is_wanted = False

    def keep(self) -> None:
        """Reserve descriptors, from now on and as far as there are any."""
        self._is_wanted = True
        self.restore()

    def restore(self) -> None:
        """Reserve again what was given up."""
        while self._is_wanted and len(self._kept) < self._count:
            try:
                descriptor = os.open(os.sep, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as error:
                pass_on(error)
                return
            self._kept.append(descriptor)
            self._identity = _identity(descriptor)

    def give_up(self) -> bool:
        """Close one, so that another file can be opened; return whether there was one."""
        try:
            descriptor = self._kept.pop()
        except IndexError:
            return False
        with suppress(OSError):
            # A daemon may have closed all descriptors, and another file has this number since.
            if _identity(descriptor) == self._identity:
                os.close(descriptor)
        return True

    def close(self) -> None:
        """Close all, and reserve no more."""
        self._is_wanted = False
        while self.give_up():
            pass


SPARE = SpareDescriptors(2)
"""As many as are open at the same time when files are read: a directory and a file."""


def with_spare(call: Callable[[], Result]) -> Result:
    """Return the result of ``call``, which opens a file; give up reserved descriptors if needed.

    The caller calls ``SPARE.restore`` when that file is closed.
    """
    while True:
        try:
            return call()
        except OSError as error:
            pass_on(error)
            if error.errno not in NO_DESCRIPTORS or not SPARE.give_up():
                raise


def names_in(directory: int) -> list[str]:
    """Return the names of all files in an open directory."""
    try:
        return with_spare(lambda: os.listdir(directory))
    finally:
        SPARE.restore()


def _identity(descriptor: int) -> tuple[int, int]:
    status = os.fstat(descriptor)
    return status.st_dev, status.st_ino


class TemporaryFile:
    """An open file or directory that is closed, and unlocked, at the end of its block.

    Raises ``OSError`` if it cannot be opened, or is a link.
    """

    def __init__(self, path: str, flags: int, directory: int | None = None) -> None:
        # Not blocking: to open a named pipe would wait for its other end.
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self.descriptor = with_spare(lambda: os.open(path, flags, 0o600, dir_fd=directory))
        self._is_locked = False
        _open.add(self)

    def lock(self, *, shared: bool = False) -> bool:
        """Lock the file unless another process has locked it; return whether it is locked."""
        if fcntl is None:
            raise OSError(errno.ENOSYS, "This system has no flock()")
        try:
            fcntl.flock(
                self.descriptor, fcntl.LOCK_NB | (fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
            )
        except BlockingIOError:
            return False
        self._is_locked = True
        return True

    def keep(self) -> int:
        """Return the descriptor, which stays open and locked for the caller."""
        _open.discard(self)
        return self.descriptor

    def close(self) -> None:
        """Unlock and close the file, unless it is kept."""
        if self not in _open:
            return
        _open.discard(self)
        if self._is_locked:
            # Closing is not enough: a child forked meanwhile may have the descriptor.
            with suppress(OSError):
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        os.close(self.descriptor)
        SPARE.restore()

    def __enter__(self) -> TemporaryFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def write_all(descriptor: int, content: bytes) -> None:
    """Write all of ``content``; to a disk that is almost full, one part after the other."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def replace(directory: int, name: str, content: bytes, unfinished: str = _UNFINISHED) -> None:
    """Replace a file of this name, completely or not at all.

    Called by the process that has the lock of the directory, or of what is named ``unfinished``
    until it is complete. If it raises ``OSError``, the file is as it was.
    """
    with suppress(FileNotFoundError):
        os.unlink(unfinished, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        with TemporaryFile(unfinished, flags, directory) as file:
            write_all(file.descriptor, content)
            os.rename(unfinished, name, src_dir_fd=directory, dst_dir_fd=directory)
    except OSError:
        with suppress(OSError):
            os.unlink(unfinished, dir_fd=directory)
        raise


def is_locked(descriptor: int) -> bool:
    """Return whether another process has locked an open file."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_NB | fcntl.LOCK_SH)
    except OSError as error:
        pass_on(error)
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def close_inherited() -> None:
    """Close, in a forked child, the files of its parent; unlock nothing."""
    SPARE.close()
    while _open:
        with suppress(OSError):
            os.close(_open.pop().descriptor)
