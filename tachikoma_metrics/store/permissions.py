"""Which directories a service may use: its own user's, where no other user can replace them."""

from __future__ import annotations

import os
import stat
from pathlib import Path


class Unavailable(OSError):
    """Raised for a directory that cannot be used, with the remedy."""


class Exposed(OSError):
    """Raised for a directory that can be used, but that other users could replace."""


def require_private(path: str, status: os.stat_result) -> None:
    """Raise ``Unavailable`` for a directory that another user could have prepared."""
    if status.st_uid != os.geteuid():
        raise Unavailable(
            f"{path} must belong to user {os.geteuid()}; it belongs to {status.st_uid}. Change "
            "its owner, or remove it, and run every process of the service, commands such as "
            "`migrate` too, as the same user."
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unavailable(
            f"{path} must be writable by its owner only; its mode is "
            f"{stat.S_IMODE(status.st_mode):o}. Change it to 700, or set STORE_DIR to a "
            "directory inside it."
        )


def require_lasting(path: str) -> None:
    """Raise ``Exposed`` for a directory that every user may rename."""
    for above in Path(os.path.realpath(path)).parents:
        if not above.exists():
            continue
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise Exposed(
                f"{path} must not be below {above}, where every user may put another directory "
                f"in its place; the mode of {above} is {stat.S_IMODE(mode):o}. Change it to 755, "
                "or to 1777 if every user is to write there."
            )
