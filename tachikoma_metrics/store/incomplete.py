"""Values that cannot all be read just now: then none are shown.

A total without the part of one process is lower than the one that was scraped before. To
Prometheus that is a reset of the counter, and the next complete total is an increase by all
that was ever counted. An answer that is no page leaves a gap, which `increase()` bridges:
https://prometheus.io/docs/prometheus/latest/querying/functions/#increase
"""

from __future__ import annotations

import errno

NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
"""The process, or the system, has as many open files as it may."""

_PASSING = NO_DESCRIPTORS | {errno.ENOMEM, errno.EIO, errno.EINTR, errno.ENOLCK, errno.ESTALE}


class Incomplete(RuntimeError):
    """Raised where the values of all processes are asked for, and some cannot be read.

    It says in one line what cannot be read, and why.
    """

    def __init__(self, what: str, error: BaseException | None) -> None:
        reason = " ".join(str(error or "").split()) or type(error).__name__
        super().__init__(f"{what} cannot be read: {reason.rstrip('.')}.")


def is_passing(error: BaseException) -> bool:
    """Return whether a file that could not be read may be sound, and readable the next time."""
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in _PASSING
