"""The directory in which the processes of a service find each other's slots.

Whether a process lives is told by its lock on its slot, which the system takes back
with the process, however it ends: https://man7.org/linux/man-pages/man2/flock.2.html
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store import layout, system
from tachikoma_metrics.store.files import TemporaryFile
from tachikoma_metrics.store.layout import HEADER_SIZE, LARGEST_SIZE, Damaged, Header, Series
from tachikoma_metrics.store.lock_file import locked
from tachikoma_metrics.store.slot import FIRST_SIZE, FileSlot, reserve

_NAME = re.compile(r"slot-([0-9]{1,6})")
_UNFINISHED = "unfinished"
_SECONDS_A_READER_LOOKS = 0.002
_MOST_LOOKS = 5

OnDamage = Callable[[Exception, str], None]
"""Told what is wrong with a slot, and the path of the slot."""


class Unavailable(OSError):
    """Raised for a directory that cannot be had, with the remedy."""


class Exposed(OSError):
    """Raised for a directory that can be had, and that other users could replace."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What another process finds in a slot."""

    number: int
    identity: tuple[int, int]
    header: Header
    content: bytes
    is_held: bool


def default_paths(service: str) -> tuple[str, ...]:
    """Return where the slots of ``service`` may be, the best place first.

    A RAM-backed directory never waits for a disk; every system has a temporary one.
    """
    places = ["/dev/shm", os.environ.get("XDG_RUNTIME_DIR", ""), _temporary_place()]  # noqa: S108  # See _require_private.
    return tuple(str(Path(place) / service) for place in places if place and Path(place).is_dir())


def _temporary_place() -> str:
    # A container whose file system is read-only has none, and Python raises.
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return ""


class Directory:
    """A directory of slots, private to one user."""

    def __init__(self, path: str) -> None:
        self.path = path

    def look(self) -> None:
        """Raise ``OSError`` if the directory, or what is to hold it, cannot be had.

        Also if others could replace it. Makes nothing.
        """
        if os.path.lexists(self.path):
            with self._opened(make=False) as directory:
                self._require_locks(directory)
        else:
            self._look_above()
        _require_lasting(self.path)

    def _look_above(self) -> None:
        flags = os.O_RDONLY | os.O_DIRECTORY
        above = os.path.dirname(self.path)
        while not os.path.lexists(above):
            above = os.path.dirname(above)
        if not os.path.isdir(above) or not os.access(above, os.W_OK | os.X_OK):
            raise Unavailable(f"{self.path} should be in a directory that can be written to.")
        # One that cannot be read tells nothing.
        with suppress(PermissionError), TemporaryFile(os.path.realpath(above), flags) as there:
            self._require_locks(there)

    def _require_locks(self, directory: TemporaryFile) -> None:
        try:
            directory.lock(shared=True)
        except OSError as error:
            pass_on(error)
            raise Unavailable(
                f"{self.path} should be on a file system that has locks; flock() says: "
                f"{error.strerror}. Set STORE_DIR to a directory on a local one, such as /dev/shm."
            ) from error

    def claim(self, on_damage: OnDamage, patience: float) -> FileSlot:
        """Return the lowest slot that nobody holds, with the totals it has.

        A slot is made if there is none; of a service that is over, nothing is left.
        Raises ``OSError`` if the directory or room for the slot cannot be had, or if
        other processes claim slots for more than ``patience`` seconds.
        """
        with (
            self._opened(make=True) as directory,
            self._locked(directory, patience),
        ):
            slot = self._inherited(directory.descriptor, on_damage)
            return slot or self._created(directory.descriptor)

    def is_in_use(self) -> bool:
        """Tell whether a process holds a slot, or the server of one that did still lives.

        Raises ``OSError`` if the directory is not there or cannot be had.
        """
        with self._opened(make=False) as directory, ExitStack() as stack:
            free, is_any_held = _free_slots(directory.descriptor, stack, is_shared=True)
            return is_any_held or any(map(_server_lives, free.values()))

    def readings(self, on_damage: OnDamage) -> Iterator[Reading]:
        """Yield every slot that can be read, the lowest first.

        Raises ``OSError`` if the directory is there and cannot be read.
        """
        try:
            with self._opened(make=False) as directory:
                for number in _numbers(directory.descriptor):
                    reading = self._read(directory.descriptor, number, on_damage)
                    if reading is not None:
                        yield reading
        except FileNotFoundError:
            return

    def remove(self, removed: Collection[Series], patience: float) -> None:
        """Remove label sets from the slots that nobody holds; as far as they can be read."""
        with (
            suppress(OSError),
            self._opened(make=False) as directory,
            self._locked(directory, patience),
            ExitStack() as stack,
        ):
            for file in _free_slots(directory.descriptor, stack)[0].values():
                with suppress(OSError, Damaged):
                    _remove_from(file.descriptor, removed)

    def note_cpu(self, seen: Iterable[tuple[Reading, float]]) -> None:
        """Write down the CPU seconds of slots' holders, for the time after their death."""
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
            _require_private(self.path, os.fstat(directory.descriptor))
            yield directory

    def _locked(self, directory: TemporaryFile, patience: float) -> AbstractContextManager[None]:
        return locked(directory.descriptor, self.path, patience)

    def _inherited(self, directory: int, on_damage: OnDamage) -> FileSlot | None:
        with ExitStack() as stack:
            free, is_any_held = _free_slots(directory, stack, is_one_enough=True)
            if not free and is_any_held:
                # A reader's lock, which it has for a moment, looks like a holder's.
                time.sleep(_SECONDS_A_READER_LOOKS)
                free, is_any_held = _free_slots(directory, stack, is_one_enough=True)
            if not is_any_held and not any(_server_lives(slot) for slot in free.values()):
                for number in free:
                    os.unlink(f"slot-{number}", dir_fd=directory)
                return None
            for number, file in free.items():
                slot = self._taken(directory, number, file, on_damage)
                if slot is not None:
                    return slot
        return None

    def _taken(
        self, directory: int, number: int, file: TemporaryFile, on_damage: OnDamage
    ) -> FileSlot | None:
        path = f"{self.path}/slot-{number}"
        status = os.fstat(file.descriptor)
        try:
            if os.stat(path).st_ino != status.st_ino:
                return None
            _header(file.descriptor)
            if status.st_size > LARGEST_SIZE:
                raise Damaged(f"A slot should have at most {LARGEST_SIZE} bytes.")
        except FileNotFoundError:
            return None
        except Damaged as error:
            on_damage(error, path)
            os.unlink(f"slot-{number}", dir_fd=directory)
            return None
        slot = FileSlot(file, path, max(FIRST_SIZE, _aligned_size(status.st_size)))
        damage = slot.adopt()
        if damage is not None:
            on_damage(damage, path)
        return slot

    def _created(self, directory: int) -> FileSlot:
        with suppress(FileNotFoundError):
            os.unlink(_UNFINISHED, dir_fd=directory)
        name = f"slot-{_lowest_free(directory)}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        with TemporaryFile(_UNFINISHED, flags, directory) as file:
            try:
                file.lock()
                reserve(file.descriptor, FIRST_SIZE)
                os.pwrite(file.descriptor, layout.pack_header(Header(used=HEADER_SIZE)), 0)
                # Others see it when it is whole.
                os.rename(_UNFINISHED, name, src_dir_fd=directory, dst_dir_fd=directory)
            except OSError:
                os.unlink(_UNFINISHED, dir_fd=directory)
                raise
            return FileSlot(file, f"{self.path}/{name}", FIRST_SIZE)

    def _read(self, directory: int, number: int, on_damage: OnDamage) -> Reading | None:
        try:
            with TemporaryFile(f"slot-{number}", os.O_RDONLY, directory) as file:
                # Before its content: what a process leaves behind is complete then.
                is_held = not file.lock(shared=True)
                header, content = _content(file.descriptor)
                status = os.fstat(file.descriptor)
                identity = (status.st_dev, status.st_ino)
                is_held = is_held and not _is_over(header)
                return Reading(number, identity, header, content, is_held)
        except FileNotFoundError:
            return None
        except Exception as error:
            pass_on(error)
            # Memory too may be wanting for one, and be enough for the others.
            on_damage(error, f"{self.path}/slot-{number}")
            return None


def _is_over(header: Header) -> bool:
    """Tell whether the holder ended, and it is a claimer that has the lock just now."""
    # Where nobody knows whose pid it is, the lock alone tells.
    is_near = header.pid and header.namespace and header.namespace == system.namespace()
    return bool(is_near) and not system.exists(header.pid)


def _numbers(directory: int) -> list[int]:
    matches = map(_NAME.fullmatch, os.listdir(directory))
    return sorted(int(match[1]) for match in matches if match)


def _lowest_free(directory: int) -> int:
    taken = set(_numbers(directory))
    return next(number for number in range(len(taken) + 1) if number not in taken)


def _free_slots(
    directory: int,
    stack: ExitStack,
    *,
    is_one_enough: bool = False,
    is_shared: bool = False,
) -> tuple[dict[int, TemporaryFile], bool]:
    """Return the slots that nobody holds, locked, and whether there are others.

    All of them, unless there are others and one is enough.
    """
    free = {}
    is_any_held = False
    for number in _numbers(directory):
        try:
            file = stack.enter_context(TemporaryFile(f"slot-{number}", os.O_RDWR, directory))
        except OSError as error:
            pass_on(error)
            # Not a file, or not ours: no slot, whatever its name says.
            continue
        if not stat.S_ISREG(os.fstat(file.descriptor).st_mode):
            continue
        if file.lock(shared=is_shared):
            free[number] = file
        else:
            is_any_held = True
            file.close()
        if free and is_any_held and is_one_enough:
            break
    return free, is_any_held


def _server_lives(slot: TemporaryFile) -> bool:
    """Tell whether the server of the last holder may make another holder.

    Where nobody can know, it is taken to live: totals are continued.
    """
    try:
        header = _header(slot.descriptor)
    except (OSError, Damaged) as error:
        pass_on(error)
        return False
    if header.boot != system.boot():
        return False
    if header.namespace != system.namespace() or system.stat_of(os.getpid()) is None:
        return True
    return system.lives(header.parent, header.parent_started)


def _header(descriptor: int) -> Header:
    """Return what a slot says of itself; raise ``Damaged`` if it has no header."""
    return layout.unpack_header(os.pread(descriptor, HEADER_SIZE, 0))


def _content(descriptor: int) -> tuple[Header, bytes]:
    """Return the header and all bytes in use; raise ``Damaged`` if there is no header.

    Looks again where the holder was about to rewrite records.
    """
    for _ in range(_MOST_LOOKS):
        size = os.fstat(descriptor).st_size
        before = _header(descriptor)
        content = os.pread(descriptor, min(before.used, size), 0)
        after = _header(descriptor)
        if before.generation == after.generation and before.generation % 2 == 0:
            break
        time.sleep(0.0002)
    return before, content


def _note_cpu(directory: int, reading: Reading, seconds: float) -> None:
    with TemporaryFile(f"slot-{reading.number}", os.O_RDWR, directory) as file:
        now = _header(file.descriptor)
        if now.claimed_at == reading.header.claimed_at:
            packed = struct.pack("=d", seconds)
            os.pwrite(file.descriptor, packed, layout.offset_of("cpu_seen"))


def _remove_from(descriptor: int, removed: Collection[Series]) -> None:
    header, content = _content(descriptor)
    for record in layout.parse(content, header.used):
        if record.kind == layout.Kind.SERIES and record.series in removed:
            os.pwrite(descriptor, layout.pack_kind(layout.Kind.REMOVED), record.at)
    generation = struct.pack("=Q", header.generation + 2)
    os.pwrite(descriptor, generation, layout.offset_of("generation"))


def _aligned_size(size: int) -> int:
    return -(-size // FIRST_SIZE) * FIRST_SIZE


def _require_private(path: str, status: os.stat_result) -> None:
    """Raise ``Unavailable`` for a directory that another user could have prepared."""
    if status.st_uid != os.geteuid():
        raise Unavailable(
            f"{path} should belong to user {os.geteuid()}; it belongs to {status.st_uid}. Change "
            "its owner, or remove it, and run every process of the service, commands such as "
            "`migrate` too, as the same user."
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Unavailable(
            f"{path} should be writable by its owner alone; its mode is "
            f"{stat.S_IMODE(status.st_mode):o}. Change it to 700, or set STORE_DIR to a "
            "directory inside it."
        )


def _require_lasting(path: str) -> None:
    """Raise ``Exposed`` for a directory that every user may move away."""
    for above in Path(os.path.realpath(path)).parents:
        if not above.exists():
            continue
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            raise Exposed(
                f"{path} should not be below {above}, where every user may put another directory "
                f"in its place; the mode of {above} is {stat.S_IMODE(mode):o}. Change it to 755, "
                "or to 1777 if every user is to write there."
            )
