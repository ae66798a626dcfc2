"""When this process tries to claim a file, and which failures it reports."""

from __future__ import annotations

import errno
from time import perf_counter

from tachikoma_metrics.store.directory import SECONDS_TO_WAIT
from tachikoma_metrics.store.permissions import Unavailable
from tachikoma_metrics.store.writer.options import OnError

_SECONDS_BETWEEN_TRIES = 1.0
_SECONDS_TO_LET_OTHERS_CLAIM = 0.05
_TRIES_TO_CLAIM = 10
"""After so many, other processes that are in the way are reported as an error."""
_UNUSABLE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENOLCK,
        errno.ENOSYS,
        errno.ENOTSUP,
    }
)


class Attempts:
    """Decide when to try again.

    ``try_at`` is the time of ``perf_counter`` before which no attempt is made, ``last_error``
    why the last one failed.
    """

    def __init__(self, report: OnError) -> None:
        self.try_at = 0.0
        self.last_error: Exception | None = None
        self._report = report
        self._has_tried = False
        self._times_busy = 0
        self._reported: set[tuple[str, str]] = set()

    @property
    def is_due(self) -> bool:
        """Return whether an attempt may be made."""
        return perf_counter() >= self.try_at

    def begin(self) -> float:
        """Return for how many seconds an attempt that begins now waits for other processes."""
        # The first time there is much to lose: many values, and a life that may be short.
        patience = 0.0 if self._has_tried else SECONDS_TO_WAIT
        self._has_tried = True
        return patience

    def postpone(self) -> None:
        """Make no attempt for a while."""
        self.try_at = perf_counter() + _SECONDS_BETWEEN_TRIES

    def fail(self, error: OSError, path: str) -> None:
        """Make no attempt for a while, because of ``error``, and report that."""
        is_busy = error.errno == errno.EAGAIN
        seconds = _SECONDS_TO_LET_OTHERS_CLAIM if is_busy else _SECONDS_BETWEEN_TRIES
        self.try_at = perf_counter() + seconds
        self.last_error = error
        self._times_busy = self._times_busy + 1 if is_busy else 0
        # Many processes that start take turns; nothing is lost meanwhile.
        if not is_busy or self._times_busy % _TRIES_TO_CLAIM == 0:
            self._report_of(path, error)

    def _report_of(self, path: str, error: OSError) -> None:
        """Report an error; that of an unusable directory once, for as long as it lasts."""
        if not is_unusable(error):
            self._report(error, path)
        elif (path, str(error)) not in self._reported:
            self._reported.add((path, str(error)))
            self._report(error, path)

    def succeed(self) -> None:
        """Note that this process has a file."""
        self._times_busy = 0
        self._reported.clear()

    def begin_last(self) -> None:
        """Make an attempt with the next change, as patient as the first."""
        self.try_at = 0.0
        self._has_tried = False

    def renew(self) -> None:
        """Forget, in a forked child, the attempts of its parent."""
        self.begin_last()
        self._times_busy = 0
        self._reported.clear()


def is_unusable(error: OSError) -> bool:
    """Return whether no process of the service can use the directory."""
    return isinstance(error, Unavailable) or error.errno in _UNUSABLE
