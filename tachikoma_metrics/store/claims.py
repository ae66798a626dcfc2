"""How a process comes to a slot, while no other process claims one.

It takes over the lowest free slot of its own run, or makes one. The slots of earlier runs go
into the archive when an epoch begins, so that what they counted stays without their files.
"""

from __future__ import annotations

import os
import secrets
import stat
import time
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store import archive, layout, runs, system
from tachikoma_metrics.store.archive import Archive
from tachikoma_metrics.store.files import TemporaryFile
from tachikoma_metrics.store.incomplete import is_passing
from tachikoma_metrics.store.layout import (
    HEADER_SIZE,
    LARGEST_SIZE,
    Damaged,
    Header,
    OtherLayout,
    Series,
    State,
)
from tachikoma_metrics.store.reading import OnDamage, content_of, header_of, name_of, numbers
from tachikoma_metrics.store.runs import Run
from tachikoma_metrics.store.slot import FIRST_SIZE, FileSlot, reserve

_UNFINISHED = "unfinished"
_SECONDS_A_READER_LOOKS = 0.002
_MOST_FREE_SLOTS = 8
"""Slots of earlier runs that may wait for the next epoch."""


@dataclass(frozen=True)
class Claimant:
    """The process that claims a slot: its run, and for how long totals are kept without one.

    ``seconds_to_keep`` is the time after the end of a service's last process in which it may
    come back and go on from its totals.
    """

    run: Run
    seconds_to_keep: float = 0.0


@dataclass
class _Found:
    """The slots of a directory: those that are free, locked, and the headers of the others."""

    free: dict[int, TemporaryFile] = field(default_factory=dict)
    headers: dict[int, Header | None] = field(default_factory=dict)
    held: dict[int, Header | None] = field(default_factory=dict)

    @property
    def live_runs(self) -> set[int]:
        """Return the numbers of the runs that hold a slot."""
        return {header.run for header in self.held.values() if header is not None}

    def of(self, run: Run) -> Iterable[int]:
        """Return the numbers of the free slots of a run."""
        return [
            number for number, header in self.headers.items() if header and header.run == run.number
        ]


class Claim:
    """Claim a slot in a directory that is open, and locked against other claims."""

    def __init__(self, directory: int, path: str, claimant: Claimant, on_damage: OnDamage) -> None:
        self._directory = directory
        self._path = path
        self._run = claimant.run
        self._seconds_to_keep = claimant.seconds_to_keep
        self._on_damage = on_damage

    def slot(self) -> FileSlot:
        """Return a slot for this process; raise ``OSError`` if there is no room for it."""
        with ExitStack() as stack:
            found = self._look_twice(stack)
            for number in found.of(self._run):
                slot = self._taken(number, found.free[number])
                if slot is not None:
                    return slot
            if not found.held and self._is_over(found):
                self._start_afresh(found)
            else:
                self._enter(found)
            return self._created()

    def enter(self) -> None:
        """Have the run of this process known, which has a slot already."""
        with ExitStack() as stack:
            self._enter(_look(self._directory, stack))

    # --- slots --------------------------------------------------------------

    def _look_twice(self, stack: ExitStack) -> _Found:
        found = _look(self._directory, stack, self._run)
        if found.held and not found.of(self._run):
            # A reader's lock, which it has for a moment, looks like a holder's.
            time.sleep(_SECONDS_A_READER_LOOKS)
            stack.close()
            found = _look(self._directory, stack, self._run)
        return found

    def _taken(self, number: int, file: TemporaryFile) -> FileSlot | None:
        path = f"{self._path}/slot-{number}"
        status = os.fstat(file.descriptor)
        try:
            if os.stat(path).st_ino != status.st_ino:
                return None
            header_of(file.descriptor)
            if status.st_size > LARGEST_SIZE:
                raise Damaged(f"A slot should have at most {LARGEST_SIZE} bytes.")
        except FileNotFoundError:
            return None
        except Damaged as error:
            self._on_damage(error, path)
            os.unlink(name_of(number), dir_fd=self._directory)
            return None
        slot = FileSlot(file, path, max(FIRST_SIZE, _aligned_size(status.st_size)))
        damage = slot.adopt()
        if damage is not None:
            self._on_damage(damage, path)
        return slot

    def _created(self) -> FileSlot:
        with suppress(FileNotFoundError):
            os.unlink(_UNFINISHED, dir_fd=self._directory)
        name = f"slot-{_lowest_free(self._directory)}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL
        header = Header(used=HEADER_SIZE, serial=secrets.randbits(63), run=self._run.number)
        with TemporaryFile(_UNFINISHED, flags, self._directory) as file:
            try:
                file.lock()
                reserve(file.descriptor, FIRST_SIZE)
                os.pwrite(file.descriptor, layout.pack_header(header), 0)
                # Others see it when it is whole.
                os.rename(_UNFINISHED, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            except OSError:
                os.unlink(_UNFINISHED, dir_fd=self._directory)
                raise
            return FileSlot(file, f"{self._path}/{name}", FIRST_SIZE)

    # --- services that end, and come back -----------------------------------

    def _is_over(self, found: _Found) -> bool:
        """Tell whether the service is over; it is not if it comes back early enough."""
        kept = self._archived()
        headers = [*found.headers.values(), *([kept.header] if kept else [])]
        known = [header for header in headers if header is not None]
        if known and all(header.boot != system.boot() for header in known):
            return True
        lives = [_server_lives(header) for header in known if header.pid]
        if self._seconds_to_keep <= 0:
            # Where nobody can know, the server is taken to live.
            return all(alive is False for alive in lives)
        return True not in lives and self._seconds_unused() > self._seconds_to_keep

    def _seconds_unused(self) -> float:
        return time.time() - os.fstat(self._directory).st_mtime

    def _start_afresh(self, found: _Found) -> None:
        for number in found.free:
            os.unlink(name_of(number), dir_fd=self._directory)
        for name in (archive.NAME, runs.NAME):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._directory)
        self._note(runs.Epoch())

    def _enter(self, found: _Found) -> None:
        """Begin an epoch if it is time, and have the run of this process known in it."""
        epoch = runs.read(self._directory)
        is_begun = epoch.is_begun_by(self._run, found.live_runs, is_resumed=not found.held)
        if is_begun or len(found.free) >= _MOST_FREE_SLOTS:
            self._archive(found, is_begun=is_begun)
        if is_begun:
            epoch = epoch.next()
        if not epoch.has(self._run):
            self._note(epoch)

    def _note(self, epoch: runs.Epoch) -> None:
        epoch.add(self._run)
        try:
            epoch.write(self._directory)
        except OSError as error:
            pass_on(error)
            self._on_damage(error, f"{self._path}/{runs.NAME}")

    def _archive(self, found: _Found, *, is_begun: bool) -> None:
        """Move what is in the free slots into the archive, as far as there is room for it."""
        copy = self._archived()
        kept, damage = copy.archive() if copy else (Archive(), None)
        path = f"{self._path}/{archive.NAME}"
        if damage is not None:
            self._on_damage(damage, path)
        archived = [number for number in found.free if self._add(kept, number, found)]
        if is_begun:
            kept.begin_epoch(self._in_use(found))
        try:
            kept.write(self._directory)
        except OSError as error:
            pass_on(error)
            self._on_damage(error, path)
            return
        for number in archived:
            os.unlink(name_of(number), dir_fd=self._directory)
            del found.free[number]

    def _archived(self) -> archive.Copy | None:
        try:
            return archive.read(self._directory)
        except OtherLayout:
            return None
        except (OSError, Damaged) as error:
            pass_on(error)
            self._on_damage(error, f"{self._path}/{archive.NAME}")
            return None

    def _add(self, kept: Archive, number: int, found: _Found) -> bool:
        try:
            header, content = content_of(found.free[number].descriptor)
        except OtherLayout:
            return True
        except Damaged as error:
            self._on_damage(error, f"{self._path}/slot-{number}")
            return True
        if header.serial not in kept.folded:
            damage = kept.add(header, content)
            if damage is not None:
                self._on_damage(damage, f"{self._path}/slot-{number}")
        return True

    def _in_use(self, found: _Found) -> set[Series]:
        in_use: set[Series] = set()
        for number in found.held:
            with (
                suppress(OSError, Damaged),
                TemporaryFile(name_of(number), os.O_RDONLY, self._directory) as file,
            ):
                header, content = content_of(file.descriptor)
                in_use |= archive.label_sets(content, header.used)
        return in_use


def is_in_use(directory: int) -> bool:
    """Tell whether a process holds a slot, or the server of one that did may still live."""
    with ExitStack() as stack:
        found = _look(directory, stack, is_shared=True)
        headers = [header for header in found.headers.values() if header is not None]
        return bool(found.held) or any(_server_lives(one) is not False for one in headers)


def _look(
    directory: int, stack: ExitStack, run: Run | None = None, *, is_shared: bool = False
) -> _Found:
    """Return what slots there are, up to the first free one of ``run``."""
    found = _Found()
    for number in numbers(directory):
        try:
            file = stack.enter_context(TemporaryFile(name_of(number), os.O_RDWR, directory))
        except OSError as error:
            pass_on(error)
            if is_passing(error):
                # A slot that is overlooked would be one that nobody holds.
                raise
            # Not a file, or not ours: no slot, whatever its name says.
            continue
        if not stat.S_ISREG(os.fstat(file.descriptor).st_mode):
            continue
        header = _header_or_none(file)
        is_copy = header is not None and stands_for_live_process(header)
        if not is_copy and file.lock(shared=is_shared):
            found.free[number] = file
            # Before it was locked, its holder may have written more.
            found.headers[number] = _header_or_none(file)
            if run is not None and found.of(run):
                break
        else:
            found.held[number] = header
            file.close()
    return found


def _header_or_none(file: TemporaryFile) -> Header | None:
    try:
        return header_of(file.descriptor)
    except (OSError, Damaged) as error:
        pass_on(error)
        return None


def _server_lives(header: Header) -> bool | None:
    """Tell whether the server of a slot's last holder may make another; None if unknown."""
    if header.boot != system.boot():
        return False
    if header.namespace != system.namespace() or system.stat_of(os.getpid()) is None:
        return None
    return system.lives(header.parent, header.parent_started)


def stands_for_live_process(header: Header) -> bool:
    """Tell whether a file is a copy of one that was removed, and that a process still writes to."""
    return header.state == State.COPY and system.lives(header.pid, header.started)


def _lowest_free(directory: int) -> int:
    taken = set(numbers(directory))
    return next(number for number in range(len(taken) + 1) if number not in taken)


def _aligned_size(size: int) -> int:
    return -(-size // FIRST_SIZE) * FIRST_SIZE
