"""The lock on a directory of files, for the process that makes or takes over one of them.

The lock is on a file that only its owner may open: any user who may read a directory may lock it,
and could keep it locked. https://man7.org/linux/man-pages/man2/flock.2.html

The modification time of that file says when the directory was used last, by a clock that cannot
be set: a wall clock that jumps ahead would end a service that is being restarted.
"""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store.files import TemporaryFile

_NAME = "lock"
_SECONDS_BETWEEN_TRIES = 0.001


@contextmanager
def locked(directory: int, path: str, patience: float) -> Iterator[None]:
    """Hold the lock of the open ``directory``, which is at ``path``, while the block lasts.

    Raises ``BlockingIOError`` if other processes hold it for more than ``patience`` seconds,
    and ``OSError`` if the file system has no locks.
    """
    give_up_at = time.monotonic() + patience
    while True:
        with TemporaryFile(_NAME, os.O_RDWR | os.O_CREAT, directory) as file:
            if file.lock() and _is_in_place(file, directory):
                yield
                return
        if time.monotonic() > give_up_at:
            raise BlockingIOError(errno.EAGAIN, "other processes claim slots", path)
        time.sleep(_SECONDS_BETWEEN_TRIES)


def _is_in_place(file: TemporaryFile, directory: int) -> bool:
    """Return whether other processes that open the lock file find the same file."""
    try:
        there = os.stat(_NAME, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        pass_on(error)
        return False
    return os.path.samestat(there, os.fstat(file.descriptor))


def record_use(directory: int) -> None:
    """Record that the directory is in use."""
    with suppress(OSError):
        # The access time is that of the wall clock, by which temporary files are cleaned.
        times = time.time_ns(), int(_now() * 1e9)
        os.utime(_NAME, ns=times, dir_fd=directory, follow_symlinks=False)


def seconds_unused(directory: int) -> float:
    """Return how long the directory has not been used; infinity if unknown."""
    try:
        used_at = os.stat(_NAME, dir_fd=directory, follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return math.inf
    # The clock starts at zero with the machine.
    return abs(_now() - used_at)


def _now() -> float:
    # It advances while the machine sleeps, which monotonic() does not.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
