"""The service that this process belongs to, by a name that survives a deployment.

The processes of a service load the same settings module from the same place. Where releases are
directories, and a symbolic link points to the current one, the place is the path through that
link: it stays the same when the link is changed to the next release.

A process may know the link, or only the real path of its release: ``getcwd()`` has no links, and
Python resolves those in the path of a script. So a service has several names, the most stable
first, all of which the store maps to one directory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from tachikoma_metrics import conf
from tachikoma_metrics.interruptions import suppress

_LINK_TO_RELEASE = "current"
"""The name that Capistrano, Deployer, Ansistrano and Mina give the link to the current release.

https://capistranorb.com/documentation/getting-started/structure/
"""
_NEAR = 2
"""The most directories between a link to a release and the directory that holds its packages."""

_names: tuple[str, ...] | None = None


def names() -> tuple[str, ...]:
    """Return the names of this service, the most stable first; none without settings.

    The last one is made from the real path. They are found once: a link that is changed later
    changes nothing for this process and its children.
    """
    global _names
    if _names is None:
        _names = _found()
    return _names


def forget() -> None:
    """Find the names again when next needed, because the settings have changed."""
    global _names
    _names = None


conf.on_change(forget)


def _found() -> tuple[str, ...]:
    name = conf.service()
    if name is None:
        return ()
    module = conf.settings_module()
    if module is None:
        return (f"{name}:{_working_directory()}:{sys.argv[0] if sys.argv else ''}",)
    file = getattr(sys.modules.get(module), "__file__", None)
    if not file:
        return (f"{name}:{_working_directory()}",)
    return tuple(f"{name}:{path}" for path in _paths_of(file, module))


def _paths_of(file: str, module: str) -> tuple[str, ...]:
    """Return the paths of the settings module's file, the most stable first."""
    with suppress(OSError, ValueError):
        given = os.path.abspath(file)
        root = _root(given, module)
        if root is None:
            return (os.path.realpath(given),)
        within = os.path.relpath(given, root)
        return tuple(os.path.join(place, within) for place in places(root))
    return (file,)


def _root(file: str, module: str) -> str | None:
    """Return the directory that holds the top-level package; None if the path does not have it.

    For a module in an archive, that is the archive.
    """
    parts = module.split(".")
    path = os.path.splitext(file)[0]
    if os.path.basename(path) == "__init__":
        path = os.path.dirname(path)
    for part in reversed(parts):
        if os.path.basename(path) != part:
            return None
        path = os.path.dirname(path)
    return path


def places(root: str) -> tuple[str, ...]:
    """Return the paths of ``root``, a directory in a release, the most stable first.

    The real path is the last. Checks a handful of paths, and lists no directory.
    """
    real = os.path.realpath(root)
    by_links = [by_link for given in _given(root, real) for by_link in _through_links(given)]
    near = [path for path, below in by_links if below <= _NEAR]
    far = [path for path, below in by_links if below > _NEAR]
    links_first = dict.fromkeys([*(near or _by_convention(real)), *far])
    links_first.pop(real, None)
    return (*links_first, real)


def _given(root: str, real: str) -> Iterator[str]:
    """Yield the paths of ``real`` that this process was started with, with the links in them."""
    yield root
    shell = os.environ.get("PWD", "")
    for path in (shell, os.path.dirname(os.path.abspath(sys.argv[0])) if _has_script() else ""):
        if os.path.isabs(path):
            given = _related(os.path.normpath(path), real)
            # It may be the path of another release, or have become that meanwhile.
            if given is not None and os.path.realpath(given) == real:
                yield given


def _has_script() -> bool:
    return bool(sys.argv) and os.path.basename(sys.argv[0]) not in ("", "-c", "-m")


def _related(given: str, real: str) -> str | None:
    """Return ``real`` through ``given``, which is a path of it, of a parent or of a child."""
    leads_to = os.path.realpath(given)
    if os.path.commonpath((leads_to, real)) == leads_to:
        return os.path.normpath(os.path.join(given, os.path.relpath(real, leads_to)))
    if os.path.commonpath((leads_to, real)) == real:
        below = os.sep + os.path.relpath(leads_to, real)
        return given.removesuffix(below) if given.endswith(below) else None
    return None


def _through_links(given: str) -> Iterator[tuple[str, int]]:
    """Yield a path through each link in ``given``, the last first, and the depth below the link.

    The part above the link has no links, so that the path does not depend on the way to it.
    """
    parts = given.split(os.sep)
    for at in range(len(parts) - 1, 0, -1):
        link = os.sep.join(parts[: at + 1])
        if os.path.islink(link):
            above = os.path.realpath(os.path.dirname(link))
            yield os.path.join(above, *parts[at:]), len(parts) - 1 - at


def _by_convention(real: str) -> Iterator[str]:
    """Yield the path through a link that deployment tools make, if there is one."""
    for release in (real, os.path.dirname(real)):
        beside = os.path.dirname(release)
        for above in dict.fromkeys((beside, os.path.dirname(beside))):
            link = os.path.join(above, _LINK_TO_RELEASE)
            if os.path.islink(link) and os.path.realpath(link) == release:
                yield os.path.normpath(os.path.join(link, os.path.relpath(real, release)))
                return


def _working_directory() -> str:
    # It may have been removed.
    with suppress(OSError):
        return os.getcwd()
    return ""
