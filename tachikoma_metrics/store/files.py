"""Files that are open for a moment, with locks that end with that moment."""

from __future__ import annotations

import errno
import os
from types import TracebackType

from tachikoma_metrics.interruptions import suppress

try:
    import fcntl
except ImportError:  # Windows has none: there, no directory can be had.
    fcntl = None  # type: ignore[assignment]

HAS_LOCKS = fcntl is not None
"""Whether this system can tell by a lock whether a process lives."""

_open: set[TemporaryFile] = set()


class TemporaryFile:
    """An open file or directory that is closed, and unlocked, at the end of its block.

    Raises ``OSError`` if it cannot be opened, or is a link.
    """

    def __init__(self, path: str, flags: int, directory: int | None = None) -> None:
        # Not blocking: whoever put a pipe there would have us wait for its other end.
        flags |= os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        self.descriptor = os.open(path, flags, 0o600, dir_fd=directory)
        self._is_locked = False
        _open.add(self)

    def lock(self, *, shared: bool = False) -> bool:
        """Lock the file unless another process has; return whether it is locked."""
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
        """Return the descriptor, which stays open and locked for whoever asked."""
        _open.discard(self)
        return self.descriptor

    def close(self) -> None:
        """Unlock and close the file, unless it is kept."""
        if self not in _open:
            return
        _open.discard(self)
        if self._is_locked:
            # Closing would not do: a child forked meanwhile may have the descriptor.
            with suppress(OSError):
                fcntl.flock(self.descriptor, fcntl.LOCK_UN)
        os.close(self.descriptor)

    def __enter__(self) -> TemporaryFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def close_inherited() -> None:
    """Close, in a forked child, what a thread of its parent had open; unlock nothing."""
    while _open:
        with suppress(OSError):
            os.close(_open.pop().descriptor)
