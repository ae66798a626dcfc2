"""The directories that the store of this process may use."""

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
    """Return the directories that may hold the files of this service, the first choice first.

    Empty if values are kept in memory alone. A process goes on using the directory that it, or
    its parent, has used.
    """
    config = conf.config()
    if config.store_dir is None or not config.enabled or not HAS_LOCKS:
        return ()
    if config.store_dir != "auto":
        return (config.store_dir,)
    known = _known()
    # A process that shares its values goes on sharing them.
    if not known or (conf.is_test_run() and not STORE.is_shared):
        return ()
    return tuple(
        os.path.join(base, _prepared.get(base) or aliases.find(base, known)) for base in bases()
    )


def prepare(path: str) -> str:
    """Make one of the directories of ``where()``, and its aliases; return its path.

    The path is another one if a process has made that meanwhile. Raises ``OSError`` if the
    directory cannot be made.
    """
    if conf.config().store_dir != "auto":
        return path
    base = os.path.dirname(path)
    # If the directory was removed, so may its aliases have been.
    _prepared[base], has_made = aliases.prepare(base, _known(), _prepared.get(base))
    refresh(is_due=True)
    if has_made:
        _sweep()
    return os.path.join(base, _prepared[base])


def _sweep() -> None:
    """Remove the directories of services that have ended, once in the life of a process."""
    global _has_swept
    if not _has_swept:
        _has_swept = True
        kept = {*_known(), *_prepared.values()}
        STORE.afterwards(partial(expired.sweep, bases(), kept))


def refresh(*, is_due: bool = False) -> None:
    """Update the times of the directories now and then, so that no process removes them.

    Changes in mapped memory do not update them.
    """
    global _refresh_at
    now = perf_counter()
    if _prepared and (is_due or now >= _refresh_at):
        _refresh_at = now + _SECONDS_BETWEEN_REFRESHES
        for base, name in _prepared.copy().items():
            aliases.refresh(base, _known(), name)


def of_other_layouts() -> Iterator[tuple[str, bool]]:
    """Yield the directories of this service that another version of the package made.

    Each comes with whether a live process uses it.
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
    """Find the directories again when next needed, because the settings have changed."""
    _prepared.clear()


conf.on_change(forget)
