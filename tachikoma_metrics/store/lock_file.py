"""The lock on a directory of files, for the process that makes or takes over one of them.

It is on a file that its owner alone may open: who may look into a directory, may lock it, and
could keep it locked. https://man7.org/linux/man-pages/man2/flock.2.html

The time of that file says when the directory was used last, by a clock that nobody sets: one
that jumps ahead would end a service that was restarted in a moment.
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

    Raises ``BlockingIOError`` if other processes have it for more than ``patience`` seconds,
    and ``OSError`` if there can be none.
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
    """Return whether others who ask for the lock find the same file."""
    try:
        there = os.stat(_NAME, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        pass_on(error)
        return False
    return os.path.samestat(there, os.fstat(file.descriptor))


def note_use(directory: int) -> None:
    """Write down that somebody uses the directory."""
    with suppress(OSError):
        # The time of access stays that of the wall clock, by which temporary files are cleaned.
        times = time.time_ns(), int(_now() * 1e9)
        os.utime(_NAME, ns=times, dir_fd=directory, follow_symlinks=False)


def seconds_unused(directory: int) -> float:
    """Return how long nobody has used the directory; more than ever if nobody knows."""
    try:
        used_at = os.stat(_NAME, dir_fd=directory, follow_symlinks=False).st_mtime
    except FileNotFoundError:
        return math.inf
    # The clock begins anew with the machine.
    return abs(_now() - used_at)


def _now() -> float:
    # It goes on while the machine sleeps, which monotonic() does not.
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
