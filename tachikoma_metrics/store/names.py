"""How the directories of services are named, and the aliases beside them.

A service may have several names. One is that of its directory, each other one that of an alias:
a symbolic link beside the directory, which no process follows by opening it.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat

from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.store.layout import LAYOUT_VERSION

_NAME = re.compile(r"tachikoma_metrics-([0-9]+)-[0-9a-f]{16}")
_UNFINISHED_ALIAS = re.compile(rf"{_NAME.pattern}\.[0-9]+")


def name_of(service: str, version: int = LAYOUT_VERSION) -> str:
    """Return the name of a service's directory for files of a version of the layout."""
    # A path may contain bytes that are no text.
    text = f"{version}:{service}".encode(errors="surrogateescape")
    digest = hashlib.sha256(text).hexdigest()[:16]
    return f"tachikoma_metrics-{os.geteuid()}-{digest}"


def is_name(name: str) -> bool:
    """Return whether a directory or an alias of this user could have this name."""
    match = _NAME.fullmatch(name)
    return match is not None and int(match[1]) == os.geteuid()


def is_unfinished_alias(name: str) -> bool:
    """Return whether an alias has this name until it replaces another."""
    match = _UNFINISHED_ALIAS.fullmatch(name)
    return match is not None and int(match[1]) == os.geteuid()


def status_of(path: str) -> os.stat_result | None:
    """Return the status of a directory or an alias of this user; None if it is neither."""
    with suppress(OSError):
        status = os.lstat(path)
        is_either = stat.S_ISDIR(status.st_mode) or stat.S_ISLNK(status.st_mode)
        return status if is_either and status.st_uid == os.geteuid() else None
    return None


def is_directory(path: str) -> bool:
    """Return whether there is a directory of this user; a link to one is none."""
    status = status_of(path)
    return status is not None and stat.S_ISDIR(status.st_mode)


def target_of(path: str) -> str | None:
    """Return the name that an alias of this user leads to; None if it is no alias."""
    status = status_of(path)
    if status is None or not stat.S_ISLNK(status.st_mode):
        return None
    with suppress(OSError):
        target = os.readlink(path)
        return target if is_name(target) else None
    return None
