"""Which directories the store of this process may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from time import perf_counter

from tachikoma_metrics import conf
from tachikoma_metrics.registry import service
from tachikoma_metrics.store import HAS_LOCKS, LAYOUT_VERSION, STORE, aliases, bases, expired, names

_SECONDS_BETWEEN_REFRESHES = 3600.0
_LATER_VERSIONS = 5

_prepared: dict[str, str] = {}
"""The name of the directory that this process uses, by what it is in."""

_has_swept = False
_refresh_at = 0.0


def where() -> tuple[str, ...]:
    """Return where the slots of this service may be; nowhere if memory is to do.

    What this process and its parents used once, they go on using.
    """
    config = conf.config()
    if config.store_dir is None or not config.enabled or not HAS_LOCKS:
        return ()
    if config.store_dir != "auto":
        return (config.store_dir,)
    known = _known()
    # Who has a slot keeps it, whatever comes.
    if not known or (conf.is_test_run() and not STORE.is_shared):
        return ()
    return tuple(
        os.path.join(base, _prepared.get(base) or aliases.find(base, known)) for base in bases()
    )


def prepare(path: str) -> str:
    """Make one of the directories of ``where()``, and all that leads to it; return its path.

    It may be another one, which a process has made meanwhile. Raises ``OSError`` if it cannot
    be had.
    """
    if conf.config().store_dir != "auto":
        return path
    base = os.path.dirname(path)
    # The aliases may have been removed with the directory.
    _prepared[base], has_made = aliases.prepare(base, _known(), _prepared.get(base))
    refresh(at_once=True)
    if has_made:
        _sweep()
    return os.path.join(base, _prepared[base])


def _sweep() -> None:
    """Remove what services that are gone have left, once in the life of a process."""
    global _has_swept
    if not _has_swept:
        _has_swept = True
        kept = {*_known(), *_prepared.values()}
        STORE.afterwards(partial(expired.sweep, bases(), kept))


def refresh(*, at_once: bool = False) -> None:
    """Have others take the directory for used, now and then: values change without a trace."""
    global _refresh_at
    now = perf_counter()
    if _prepared and (at_once or now >= _refresh_at):
        _refresh_at = now + _SECONDS_BETWEEN_REFRESHES
        for base, name in _prepared.copy().items():
            aliases.refresh(base, _known(), name)


def of_other_layouts() -> Iterator[tuple[str, bool]]:
    """Yield the directories of this service that another version of the package made.

    With each, whether a process has it.
    """
    versions = set(range(1, LAYOUT_VERSION + _LATER_VERSIONS + 1)) - {LAYOUT_VERSION}
    known = [names.name_of(each, version) for each in service.names() for version in versions]
    for base in bases() if where() else ():
        for path in (os.path.join(base, name) for name in known):
            if names.is_directory(path) and path not in where():
                yield path, expired.is_held(path)


def _known() -> tuple[str, ...]:
    return tuple(names.name_of(each) for each in service.names())


def forget() -> None:
    """Find the directories again when asked next, for the settings are others."""
    _prepared.clear()


conf.on_change(forget)
