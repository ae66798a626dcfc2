"""Directories that no process uses: those of services and releases that no longer run."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store import names
from tachikoma_metrics.store.files import TemporaryFile

_SECONDS_UNTIL_UNUSED = 24 * 3600.0
_SECONDS_UNTIL_UNKNOWN = 30 * _SECONDS_UNTIL_UNUSED
_MOST_ENTRIES = 10_000
_MOST_NAMES = 300


def is_held(path: str) -> bool:
    """Return whether a process holds a file in the directory, or is about to claim one."""
    with suppress(OSError), ExitStack() as stack:
        directory = stack.enter_context(_directory(path))
        if not directory.lock(shared=True):
            return True
        return any(
            not file.lock(shared=True) for file in _files(directory.descriptor, stack).values()
        )
    return False


def remove_unheld(path: str) -> bool:
    """Remove a directory that no process uses; return whether it was removed.

    A directory that contains anything but files is left as it is.
    """
    with suppress(OSError), ExitStack() as stack:
        directory = stack.enter_context(_directory(path))
        if not directory.lock():
            return False
        files = _files(directory.descriptor, stack)
        if not all(file.lock() for file in files.values()):
            return False
        if set(os.listdir(directory.descriptor)) != set(files):
            return False
        for name in files:
            os.unlink(name, dir_fd=directory.descriptor)
        os.rmdir(path)
        return True
    return False


def sweep(bases: Iterable[str], kept: Collection[str]) -> None:
    """Remove what services that no longer run left in ``bases``, except for the names ``kept``.

    Removes only what this user owns and what is named as this package does. Examines a bounded
    number of entries. Never raises.
    """
    for base in bases:
        with suppress(OSError, ValueError):
            for name in list(islice(_names(base), _MOST_NAMES)):
                if name not in kept:
                    _remove_expired(os.path.join(base, name))


def _names(base: str) -> Iterator[str]:
    with os.scandir(base) as entries:
        for entry in islice(entries, _MOST_ENTRIES):
            if names.is_name(entry.name) or names.is_unfinished_alias(entry.name):
                yield entry.name


def _remove_expired(path: str) -> None:
    status = names.status_of(path)
    if status is None:
        return
    with suppress(OSError):
        age = time.time() - _last_used_at(path, status)
        if stat.S_ISDIR(status.st_mode):
            if age > _SECONDS_UNTIL_UNUSED:
                remove_unheld(path)
        elif age > _longest_age(path):
            os.unlink(path)


def _longest_age(alias: str) -> float:
    target = names.target_of(alias)
    leads_on = target is not None and names.is_directory(
        os.path.join(os.path.dirname(alias), target)
    )
    # A service that is deployed often would keep one alias for each release.
    return _SECONDS_UNTIL_UNKNOWN if leads_on else _SECONDS_UNTIL_UNUSED


def _last_used_at(path: str, status: os.stat_result) -> float:
    if not stat.S_ISDIR(status.st_mode):
        return status.st_mtime
    with os.scandir(path) as entries:
        within = [entry.stat(follow_symlinks=False).st_mtime for entry in entries]
    return max([status.st_mtime, *within])


def _directory(path: str) -> TemporaryFile:
    """Open a directory of this user; raise ``OSError`` if it is another's."""
    directory = TemporaryFile(path, os.O_RDONLY | os.O_DIRECTORY)
    if os.fstat(directory.descriptor).st_uid != os.geteuid():
        directory.close()
        raise PermissionError(path)
    return directory


def _files(directory: int, stack: ExitStack) -> dict[str, TemporaryFile]:
    """Return the files in a directory by name, open."""
    files = {}
    for name in os.listdir(directory):
        try:
            file = stack.enter_context(TemporaryFile(name, os.O_RDONLY, directory))
        except OSError as error:
            pass_on(error)
            continue
        if stat.S_ISREG(os.fstat(file.descriptor).st_mode):
            files[name] = file
    return files
