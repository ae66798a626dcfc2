"""How a process notices that it was forked, without Python's hooks too."""

from __future__ import annotations

import mmap
from collections.abc import MutableSequence

_WIPE_ON_FORK = 18  # https://man7.org/linux/man-pages/man2/madvise.2.html


def fork_mark() -> MutableSequence[int]:
    """Return a byte that is 1, and 0 in a forked child.

    Some servers fork without Python's hooks. On a system without ``MADV_WIPEONFORK`` the byte
    stays 1, and only the hooks remain.
    """
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
    except (AttributeError, OSError, ValueError, TypeError):
        return bytearray(b"\x01")
    page[0] = 1
    return page  # type: ignore[return-value]  # Its items are bytes, as a bytearray's are.
