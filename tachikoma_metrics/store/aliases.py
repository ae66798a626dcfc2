"""The one directory of a service whose processes know it by different names.

Names are given the most lasting first; the last is that of the real path, which another service
may have in common. Whoever prepares a directory leaves an alias for each other name, before it
makes the directory: who knows that name alone finds one of the two.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.store import names
from tachikoma_metrics.store.expired import is_held, remove_unheld

_MOST_TRIES = 5


def find(base: str, known: Sequence[str]) -> str:
    """Return which name the directory in ``base`` has, or is to have. Makes nothing.

    One that a process has a slot in, else one that is there, else one that an alias names.
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
        # Two links may lead to one release. What another left for its real path is not for
        # a process that knows a link.
        elif name != known[-1] or len(known) == 1:
            target = names.target_of(path)
            # An alias leads to no other alias.
            if target is not None and names.target_of(os.path.join(base, target)) is None:
                yield target


def prepare(base: str, known: Sequence[str], before: str | None = None) -> tuple[str, bool]:
    """Make the directory in ``base`` and the aliases, as far as they are missing.

    Return the directory's name, which is ``before`` if that is given, and whether anything was
    made. Raises ``OSError`` if the directory cannot be had.
    """
    has_made = False
    for _ in range(_MOST_TRIES):
        name = before or find(base, known)
        for other in known:
            if other != name:
                has_made |= _lead(base, other, name)
        path = os.path.join(base, name)
        if names.is_directory(path):
            break
        try:
            os.mkdir(path, 0o700)
            return name, True
        except FileExistsError:
            # Another process has made it meanwhile, or an alias in its place. What is neither
            # is told of when it is opened.
            if names.target_of(path) is not None and name in (before, find(base, known)):
                # An alias that leads nowhere is in the way.
                with suppress(OSError):
                    os.unlink(path)
    return name, has_made


def _lead(base: str, name: str, target: str) -> bool:
    """Have the alias ``name`` lead to ``target``; return whether it was made or changed."""
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
    """Have the directory and the aliases taken for used, as far as that can be done."""
    for each in dict.fromkeys((name, *known)):
        path = os.path.join(base, each)
        if names.status_of(path) is not None:
            with suppress(OSError, NotImplementedError):
                os.utime(path, follow_symlinks=False)
