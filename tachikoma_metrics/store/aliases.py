"""One directory for all processes of a service that derive different names for it.

Names are given in the order of how long they last; the last is that of the real path, which
another service may share. A process that prepares a directory makes an alias for each other name
before it makes the directory: a process that knows only that name finds one of the two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.store import names
from tachikoma_metrics.store.expired import is_held, remove_unheld

_MOST_TRIES = 5


def find(base: str, known: Sequence[str]) -> str:
    """Return the name that the directory in ``base`` has, or is to have. Makes nothing.

    A directory that a process uses comes first, then one that exists, then the target of an
    alias.
    """
    targets = list(dict.fromkeys(_targets(base, known)))
    there = [name for name in targets if names.is_directory(os.path.join(base, name))]
    if len(there) > 1:
        there.sort(key=lambda name: not is_held(os.path.join(base, name)))
    return next(iter([*there, *targets]), known[0])


def _targets(base: str, known: Sequence[str]) -> Iterator[str]:
    for name in known:
        path = os.path.join(base, name)
        if names.is_directory(path):
            yield name
        # Two links may lead to one release. An alias for the real path of another service is
        # not for a process that knows a link.
        elif name != known[-1] or len(known) == 1:
            target = names.target_of(path)
            # An alias never leads to another alias.
            if target is not None and names.target_of(os.path.join(base, target)) is None:
                yield target


def prepare(base: str, known: Sequence[str], before: str | None = None) -> tuple[str, bool]:
    """Make the directory in ``base`` and the aliases, as far as they are missing.

    Return the directory's name, which is ``before`` if that is given, and whether anything was
    made. Raises ``OSError`` if the directory cannot be used.
    """
    has_made = False
    for _ in range(_MOST_TRIES):
        name = before or find(base, known)
        for other in known:
            if other != name:
                has_made |= _link(base, other, name)
        path = os.path.join(base, name)
        if names.is_directory(path):
            break
        try:
            os.mkdir(path, 0o700)
            return name, True
        except FileExistsError:
            # Another process has made it meanwhile, or an alias in its place. Anything else
            # there raises when it is opened.
            if names.target_of(path) is not None and name in (before, find(base, known)):
                # An alias without a target is in the way.
                with suppress(OSError):
                    os.unlink(path)
    return name, has_made


def _link(base: str, name: str, target: str) -> bool:
    """Make ``name`` an alias of ``target``; return whether it was made or changed."""
    path = os.path.join(base, name)
    with suppress(OSError):
        if names.is_directory(path) and not remove_unheld(path):
            return False
        if not os.path.lexists(path):
            os.symlink(target, path)
            return True
        if names.status_of(path) is None or names.target_of(path) == target:
            return False
        unfinished = f"{path}.{os.getpid()}"
        with suppress(FileNotFoundError):
            os.unlink(unfinished)
        os.symlink(target, unfinished)
        os.replace(unfinished, path)
        return True
    return False


def refresh(base: str, known: Sequence[str], name: str) -> None:
    """Mark the directory and the aliases as used, as far as possible."""
    for each in dict.fromkeys((name, *known)):
        path = os.path.join(base, each)
        if names.status_of(path) is not None:
            # Not every platform can set the times of a link.
            with suppress(OSError, NotImplementedError):
                os.utime(path, follow_symlinks=False)
