"""Values that cannot all be read now: then none are exposed.

A total without the part of one process is lower than at the scrape before. To Prometheus that is
a counter reset, and the next complete total an increase by everything that was ever counted. A
scrape that fails leaves a gap, which `increase()` bridges:
https://prometheus.io/docs/prometheus/latest/querying/functions/#increase
"""

from __future__ import annotations

import errno

NO_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
"""The process, or the system, has as many open files as it may."""

_PASSING = NO_DESCRIPTORS | {errno.ENOMEM, errno.EIO, errno.EINTR, errno.ENOLCK, errno.ESTALE}


class Incomplete(RuntimeError):
    """Raised if the values of some process cannot be read.

    The message says in one line what cannot be read, and why.
    """

    def __init__(self, what: str, error: BaseException | None) -> None:
        reason = " ".join(str(error or "").split()) or type(error).__name__
        super().__init__(f"{what} cannot be read: {reason.rstrip('.')}.")


def is_passing(error: BaseException) -> bool:
    """Return whether a file that could not be read may be readable the next time."""
    return isinstance(error, MemoryError) or getattr(error, "errno", None) in _PASSING
