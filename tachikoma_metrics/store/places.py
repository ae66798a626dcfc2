"""Which directory a service uses, of those that it may use.

Another user may make a directory of that name first, and remove it later. Processes that start
afterwards could use another directory than those that run. They use the one where the service is.
"""

from __future__ import annotations

from collections.abc import Iterable

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store.directory import Directory


def preferred(paths: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``paths`` in the order in which they are to be tried.

    The directory where the service is comes first: where a process holds a file, or will again.
    """
    if len(paths) < 2:
        return paths
    used = first_in_use(paths)
    return paths if used is None else (used, *(path for path in paths if path != used))


def is_elsewhere(path: str, paths: tuple[str, ...]) -> bool:
    """Return whether processes of the service are in one of ``paths`` that comes before ``path``.

    All processes find the same, so they meet there.
    """
    return first_in_use(paths[: paths.index(path)]) is not None


def first_in_use(paths: Iterable[str]) -> str | None:
    """Return the first of ``paths`` where the service is; None if it is in none."""
    return next(filter(_is_in_use, paths), None)


def _is_in_use(path: str) -> bool:
    try:
        return Directory(path).is_in_use()
    except OSError as error:
        pass_on(error)
        # It does not exist, or is another user's.
        return False
