"""How the totals of a directory survive that it is removed while processes use it.

Tools that clean temporary files remove it, and so does logind when the last session of a user
ends. A removed file can be read for as long as it is open, so each process keeps the files of the
other processes open, and the first process whose file is missing writes back what is missing.

https://www.freedesktop.org/software/systemd/man/latest/logind.conf.html
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.store import archive
from tachikoma_metrics.store.files import TemporaryFile, is_locked, replace
from tachikoma_metrics.store.layout import Damaged, Header, State, pack_header
from tachikoma_metrics.store.reading import content_of, headers, name_of, numbers
from tachikoma_metrics.store.slot import FIRST_SIZE

_MOST = 64
"""Files of other processes that a process keeps open: descriptors are limited."""


Identity = tuple[int, int]


class OpenSlots:
    """Keep the files of a directory open for the time after they are removed."""

    def __init__(self) -> None:
        self._slots: dict[Identity, int] = {}
        self._archive: archive.Copy | None = None

    def __len__(self) -> int:
        return len(self._slots)

    def renew(self, directory: int) -> None:
        """Keep open the files that are in the directory now, and no others."""
        known, self._slots = self._slots, {}
        for number in numbers(directory)[:_MOST]:
            with suppress(OSError):
                status = os.stat(name_of(number), dir_fd=directory, follow_symlinks=False)
                identity = (status.st_dev, status.st_ino)
                self._slots[identity] = known.pop(identity, -1)
                if self._slots[identity] < 0:
                    self._slots[identity] = _open(number, directory)
        _close(known.values())
        if archive.identity(directory) != (self._archive and self._archive.identity):
            with suppress(OSError, Damaged):
                self._archive = archive.read(directory)

    def close(self) -> None:
        """Keep nothing open."""
        _close(self._slots.values())
        self._slots = {}
        self._archive = None

    # --- a directory that was removed, and made again -----------------------

    def write_back(self, directory: int) -> None:
        """Write what is missing in the directory; raise ``OSError`` if there is no room.

        A removed file that a live process still writes to is written as a copy, which stands for
        it until that process has another file.
        """
        if self._archive is not None and archive.identity(directory) is None:
            self._archive.write(directory)
        there = _serials(directory)
        for descriptor in self._slots.values():
            with suppress(Damaged):
                header, content = content_of(descriptor)
                if header.serial not in there and header.state != State.MOVED:
                    state = State.COPY if is_locked(descriptor) else State.OWN
                    _write(directory, header._replace(state=state), content)


def remove_copy(directory: int, serial: int) -> None:
    """Remove the copy of a file whose process has another now.

    It is marked first: a process that still keeps it open must not write it back.
    """
    for number, header in headers(directory):
        if header.serial == serial and header.state == State.COPY:
            with TemporaryFile(name_of(number), os.O_WRONLY, directory) as file:
                os.pwrite(file.descriptor, pack_header(header._replace(state=State.MOVED)), 0)
            os.unlink(name_of(number), dir_fd=directory)


def _open(number: int, directory: int) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    return os.open(name_of(number), flags, dir_fd=directory)


def _close(descriptors: Iterable[int]) -> None:
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)


def _serials(directory: int) -> set[int]:
    """Return the serial numbers of the files whose values are in the directory."""
    found: set[int] = set()
    with suppress(Damaged):
        kept = archive.read(directory)
        found.update(kept.folded if kept else ())
    for _, header in headers(directory):
        found.update((header.serial, header.moved_from))
    return found


def _write(directory: int, header: Header, content: bytes) -> None:
    number = next(n for n in range(_MOST * 2) if n not in numbers(directory))
    whole = pack_header(header) + content[len(pack_header(header)) :]
    size = -(-len(whole) // FIRST_SIZE) * FIRST_SIZE
    replace(directory, name_of(number), whole.ljust(size, b"\0"))
