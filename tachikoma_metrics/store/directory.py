"""The directory in which the processes of a service find each other's files.

A process is live as long as its file is locked. The kernel releases the lock when the process
exits, however it ends: https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import os
import stat
import struct
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store import archive, layout, system
from tachikoma_metrics.store.claims import Claim, Claimant
from tachikoma_metrics.store.files import TemporaryFile
from tachikoma_metrics.store.incomplete import Incomplete, is_passing
from tachikoma_metrics.store.layout import Damaged, Header, OtherLayout, Series, State
from tachikoma_metrics.store.lock_file import locked, record_use
from tachikoma_metrics.store.occupancy import is_in_use, stands_for_live_process
from tachikoma_metrics.store.permissions import Unavailable, require_lasting, require_private
from tachikoma_metrics.store.reading import (
    OnDamage,
    Reading,
    content_of,
    header_of,
    name_of,
    numbers,
)
from tachikoma_metrics.store.recovery import OpenSlots, remove_copy
from tachikoma_metrics.store.slot import FileSlot

_MOST_READINGS = 50

SECONDS_TO_WAIT = 1.0
"""How long a process waits while other processes hold the lock of a directory."""


def bases() -> tuple[str, ...]:
    """Return where the directory of a service may be, the best place first.

    A RAM-backed directory never waits for a disk; a temporary directory exists everywhere.
    """
    places = ["/dev/shm", os.environ.get("XDG_RUNTIME_DIR", ""), _temporary_place()]  # noqa: S108  # See require_private.
    return tuple(place for place in places if place and Path(place).is_dir())


def _temporary_place() -> str:
    # A container with a read-only file system has none, and Python raises.
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return ""


class Directory:
    """A directory of memory-mapped files, private to one user."""

    def __init__(self, path: str) -> None:
        self.path = path

    def check(self) -> None:
        """Raise ``OSError`` if the directory, or the one that is to contain it, cannot be used.

        Raises it also if other users could replace the directory. Makes nothing.
        """
        if os.path.lexists(self.path):
            with self._opened(make=False) as directory:
                self._require_locks(directory)
        else:
            self._check_above()
        require_lasting(self.path)

    def _check_above(self) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY
        above = os.path.dirname(self.path)
        while not os.path.lexists(above):
            above = os.path.dirname(above)
        if not os.path.isdir(above) or not os.access(above, os.W_OK | os.X_OK):
            raise Unavailable(f"{self.path} must be in a writable directory.")
        # Without permission to read it, its file system cannot be checked.
        with suppress(PermissionError), TemporaryFile(os.path.realpath(above), flags) as there:
            self._require_locks(there)

    def _require_locks(self, directory: TemporaryFile) -> None:
        try:
            directory.lock(shared=True)
        except OSError as error:
            pass_on(error)
            raise Unavailable(
                f"{self.path} must be on a file system that supports locks; flock(): "
                f"{error.strerror}. Set STORE_DIR to a directory on a local one, such as /dev/shm."
            ) from error

    def claim(self, on_damage: OnDamage, patience: float, claimant: Claimant) -> FileSlot:
        """Return the lowest free file of the process's run, with its totals.

        A file is made if there is none; totals of a service that is over are removed. Raises
        ``OSError`` if the directory cannot be used or has no room for the file, or if other
        processes claim files for more than ``patience`` seconds.
        """
        with (
            self._opened(make=True) as directory,
            self._locked(directory, patience),
        ):
            slot = Claim(directory.descriptor, self.path, claimant, on_damage).slot()
            _mark_used(directory.descriptor)
            return slot

    def register(self, on_damage: OnDamage, patience: float, claimant: Claimant) -> None:
        """Register the run of a process that has a file here and did not serve before.

        Raises ``OSError`` as ``claim`` does.
        """
        with (
            self._opened(make=False) as directory,
            self._locked(directory, patience),
        ):
            Claim(directory.descriptor, self.path, claimant, on_damage).register()

    def keep_open(self, kept: OpenSlots) -> None:
        """Renew the files that a process keeps open, and record that the directory is in use.

        Raises ``OSError`` if the directory cannot be read.
        """
        with self._opened(make=False) as directory:
            _mark_used(directory.descriptor)
            kept.renew(directory.descriptor)

    def write_back(self, kept: OpenSlots, patience: float) -> None:
        """Write what was removed with the directory; raise ``OSError`` if that fails."""
        with self._opened(make=False) as directory, self._locked(directory, patience):
            kept.write_back(directory.descriptor)

    def remove_copy(self, serial: int) -> None:
        """Remove the copy of a file whose process has another now."""
        with suppress(OSError), self._opened(make=False) as directory:
            remove_copy(directory.descriptor, serial)

    def is_in_use(self) -> bool:
        """Return whether a process holds a file, or the server of a former holder is live.

        Raises ``OSError`` if the directory does not exist or cannot be used.
        """
        with self._opened(make=False) as directory:
            return is_in_use(directory.descriptor)

    def readings(self, on_damage: OnDamage) -> list[Reading]:
        """Return every file that can be read, the lowest first, and the archive.

        Raises ``OSError`` if the directory exists and cannot be read, and ``Incomplete``
        for a file that may be readable the next time.
        """
        try:
            with self._opened(make=False) as directory:
                _mark_used(directory.descriptor)
                return self._readings(directory.descriptor, on_damage)
        except FileNotFoundError:
            return []

    def _readings(self, directory: int, on_damage: OnDamage) -> list[Reading]:
        """Read again if files were added to the archive meanwhile."""
        for _ in range(_MOST_READINGS):
            kept = self._archived(directory, on_damage)
            found = [self._read(directory, number, on_damage) for number in numbers(directory)]
            if archive.identity(directory) == (kept and kept.identity):
                break
        else:
            path = f"{self.path}/{archive.NAME}"
            raise Incomplete(path, LookupError("it is written again and again"))
        readings = [one for one in found if one is not None and one.header.state != State.MOVED]
        moved = {one.header.moved_from for one in readings} - {0}
        elsewhere = moved.union(kept.folded if kept else ())
        readings = [one for one in readings if one.header.serial not in elsewhere]
        return [*readings, *([kept.reading()] if kept else [])]

    def _archived(self, directory: int, on_damage: OnDamage) -> archive.Copy | None:
        try:
            return archive.read(directory)
        except OtherLayout:
            return None
        except (OSError, Damaged, MemoryError) as error:
            pass_on(error)
            path = f"{self.path}/{archive.NAME}"
            if is_passing(error):
                raise Incomplete(path, error) from error
            on_damage(error, path)
            return None

    def remove(self, removed: Collection[Series], patience: float) -> None:
        """Remove label sets from the files that no process holds, as far as they can be read."""
        with (
            suppress(OSError),
            self._opened(make=False) as directory,
            self._locked(directory, patience),
        ):
            for number in numbers(directory.descriptor):
                with suppress(OSError, Damaged):
                    _remove_from_free(directory.descriptor, number, removed)
            with suppress(Damaged):
                archive.remove(directory.descriptor, removed)

    def note_cpu(self, seen: Iterable[tuple[Reading, float]]) -> None:
        """Record the CPU seconds of the files' holders, for the time after their death."""
        with suppress(OSError), self._opened(make=False) as directory:
            for reading, seconds in seen:
                with suppress(OSError, Damaged):
                    _note_cpu(directory.descriptor, reading, seconds)

    @contextmanager
    def _opened(self, make: bool) -> Iterator[TemporaryFile]:
        if make:
            os.makedirs(os.path.dirname(self.path), exist_ok=True)
            with suppress(FileExistsError):
                os.mkdir(self.path, 0o700)
        with TemporaryFile(self.path, os.O_RDONLY | os.O_DIRECTORY) as directory:
            require_private(self.path, os.fstat(directory.descriptor))
            yield directory

    def _locked(self, directory: TemporaryFile, patience: float) -> AbstractContextManager[None]:
        return locked(directory.descriptor, self.path, patience)

    def _read(self, directory: int, number: int, on_damage: OnDamage) -> Reading | None:
        try:
            with TemporaryFile(name_of(number), os.O_RDONLY, directory) as file:
                # Before its content is read: that of a process that ended is complete then.
                is_held = not file.lock(shared=True)
                header, content = content_of(file.descriptor)
                status = os.fstat(file.descriptor)
                identity = (status.st_dev, status.st_ino, header.serial)
                is_held = is_held and not _is_over(header)
                is_held = is_held or stands_for_live_process(header)
                return Reading(number, identity, header, content, is_held)
        except (FileNotFoundError, OtherLayout):
            return None
        except Exception as error:
            pass_on(error)
            path = f"{self.path}/slot-{number}"
            if is_passing(error):
                raise Incomplete(path, error) from error
            on_damage(error, path)
            return None


def _is_over(header: Header) -> bool:
    """Return whether the holder has ended, and the lock is that of a process that claims files."""
    # In another PID namespace the pid means nothing, and only the lock counts.
    is_near = header.pid and header.namespace and header.namespace == system.namespace()
    return bool(is_near) and not system.exists(header.pid)


def _note_cpu(directory: int, reading: Reading, seconds: float) -> None:
    with TemporaryFile(f"slot-{reading.number}", os.O_RDWR, directory) as file:
        now = header_of(file.descriptor)
        if now.claimed_at == reading.header.claimed_at:
            packed = struct.pack("=d", seconds)
            os.pwrite(file.descriptor, packed, layout.offset_of("cpu_seen"))


def _mark_used(directory: int) -> None:
    """Record that the directory is in use: unused ones are removed."""
    record_use(directory)
    with suppress(OSError):
        os.utime(directory)


def _remove_from_free(directory: int, number: int, removed: Collection[Series]) -> None:
    with TemporaryFile(name_of(number), os.O_RDWR, directory) as file:
        if stat.S_ISREG(os.fstat(file.descriptor).st_mode) and file.lock():
            _remove_from(file.descriptor, removed)


def _remove_from(descriptor: int, removed: Collection[Series]) -> None:
    header, content = content_of(descriptor)
    for record in layout.parse(content, header.used):
        if record.kind == layout.Kind.SERIES and record.series.whole in removed:
            os.pwrite(descriptor, layout.pack_kind(layout.Kind.REMOVED), record.at)
        elif record.kind == layout.Kind.REMOVED and _exemplified(record.series) in removed:
            os.pwrite(descriptor, bytes(record.width * layout.DOUBLE), record.first * layout.DOUBLE)
    generation = struct.pack("=Q", header.generation + 2)
    os.pwrite(descriptor, generation, layout.offset_of("generation"))


def _exemplified(held: Series) -> Series | None:
    """Return the label set that a record has exemplars of; None if it has none."""
    subject = layout.subject_of(held.declaration)
    return None if subject is None else Series(subject.declaration, held.labels)
