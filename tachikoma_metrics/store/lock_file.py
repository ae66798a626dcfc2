"""The lock on a directory of slots, for the process that makes or takes over one of them.

It is on a file that its owner alone may open: who may look into a directory, may lock it, and
could keep it locked. https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tachikoma_metrics.interruptions import pass_on
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
    """Tell whether others who ask for the lock find the same file."""
    try:
        there = os.stat(_NAME, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        pass_on(error)
        return False
    return os.path.samestat(there, os.fstat(file.descriptor))
