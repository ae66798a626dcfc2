"""How a process claims its memory-mapped file, while no other process claims one.

The process takes over the lowest free file of its run, or makes one. The files of earlier runs
are added to the archive when a service is started again (see ``runs``): their totals stay, and the
files are removed.
"""

from __future__ import annotations

import os
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store import archive, attachments, layout, runs, system
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
)
from tachikoma_metrics.store.lock_file import seconds_unused
from tachikoma_metrics.store.occupancy import (
    FoundSlots,
    counted_elsewhere,
    find_slots,
    is_server_live,
)
from tachikoma_metrics.store.reading import OnDamage, content_of, header_of, name_of, numbers
from tachikoma_metrics.store.runs import Run
from tachikoma_metrics.store.slot import FIRST_SIZE, FileSlot, reserve

_UNFINISHED = "unfinished"
_SECONDS_A_READER_LOOKS = 0.002
_MOST_FREE_SLOTS = 8
"""Files of earlier runs that may wait for the next epoch."""


@dataclass(frozen=True)
class Claimant:
    """The process that claims a file: its run, and which totals are kept for how long.

    ``seconds_to_keep`` is the time after the end of a service's last process in which a process
    that starts continues the totals; ``keeps_unchanged`` says that a restart drops none of them.
    """

    run: Run
    seconds_to_keep: float = 0.0
    keeps_unchanged: bool = False


class Claim:
    """Claim a file in a directory that is open, and locked against other claims."""

    def __init__(self, directory: int, path: str, claimant: Claimant, on_damage: OnDamage) -> None:
        self._directory = directory
        self._path = path
        self._run = claimant.run
        self._seconds_to_keep = claimant.seconds_to_keep
        self._keeps_unchanged = claimant.keeps_unchanged
        self._on_damage = on_damage

    def slot(self) -> FileSlot:
        """Return a file for this process; raise ``OSError`` if there is no room for it."""
        with ExitStack() as stack:
            self._remove_leftovers()
            found = self._find_twice(stack)
            for number in found.of(self._run):
                slot = self._taken(number, found.free[number])
                if slot is not None:
                    return slot
            if not found.held and self._is_over(found):
                self._start_from_zero(found)
            else:
                self._register(found)
            return self._created()

    def register(self) -> None:
        """Register the run of this process, which has a file already."""
        self._remove_leftovers()
        with ExitStack() as stack:
            self._register(find_slots(self._directory, stack))

    # --- files --------------------------------------------------------------

    def _remove_leftovers(self) -> None:
        """Remove free files whose values were already copied to the archive or to another file.

        The process that copied them was killed before it removed the file.

        A reader ignores such a file, so nothing that is counted in it would be exposed.
        """
        elsewhere = counted_elsewhere(self._directory)
        if elsewhere:
            with ExitStack() as stack:
                found = find_slots(self._directory, stack)
                for number, header in found.headers.items():
                    if header is not None and header.serial in elsewhere:
                        os.unlink(name_of(number), dir_fd=self._directory)

    def _find_twice(self, stack: ExitStack) -> FoundSlots:
        found = find_slots(self._directory, stack, self._run)
        if found.held and not found.of(self._run):
            # A reader's lock, which it has for a moment, looks like a holder's.
            time.sleep(_SECONDS_A_READER_LOOKS)
            stack.close()
            found = find_slots(self._directory, stack, self._run)
        return found

    def _taken(self, number: int, file: TemporaryFile) -> FileSlot | None:
        path = f"{self._path}/slot-{number}"
        status = os.fstat(file.descriptor)
        try:
            if os.stat(path).st_ino != status.st_ino:
                return None
            header_of(file.descriptor)
            if status.st_size > LARGEST_SIZE:
                raise Damaged(f"A slot must have at most {LARGEST_SIZE} bytes.")
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
                # Other processes find it when it is complete.
                os.rename(_UNFINISHED, name, src_dir_fd=self._directory, dst_dir_fd=self._directory)
            except OSError:
                os.unlink(_UNFINISHED, dir_fd=self._directory)
                raise
            return FileSlot(file, f"{self._path}/{name}", FIRST_SIZE)

    # --- services that end, and come back -----------------------------------

    def _is_over(self, found: FoundSlots) -> bool:
        """Return whether the service is over; it is not if it restarts early enough."""
        kept = self._archived()
        headers = [*found.headers.values(), *([kept.header] if kept else [])]
        known = [header for header in headers if header is not None]
        if known and all(header.boot != system.boot() for header in known):
            return True
        live = [is_server_live(header) for header in known if header.pid]
        if self._seconds_to_keep <= 0:
            # A server of which that is unknown counts as live.
            return all(is_live is False for is_live in live)
        return True not in live and seconds_unused(self._directory) > self._seconds_to_keep

    def _start_from_zero(self, found: FoundSlots) -> None:
        for number in found.free:
            os.unlink(name_of(number), dir_fd=self._directory)
        for name in (archive.NAME, runs.NAME):
            with suppress(FileNotFoundError):
                os.unlink(name, dir_fd=self._directory)
        attachments.remove_all(self._directory)
        self._note(runs.Epoch())

    def _register(self, found: FoundSlots) -> None:
        """Begin an epoch if the service was restarted, and register the run of this process."""
        epoch = runs.read(self._directory)
        is_begun = epoch.is_begun_by(self._run, found.live_runs, is_resumed=not found.held)
        if is_begun:
            epoch = epoch.next()
        # First: an epoch that is not recorded would begin again with the next process, and label
        # sets would be dropped too early.
        is_noted = epoch.has(self._run) or self._note(epoch)
        if is_begun or len(found.free) >= _MOST_FREE_SLOTS:
            self._archive(found, is_begun=is_begun and is_noted)

    def _note(self, epoch: runs.Epoch) -> bool:
        epoch.add(self._run)
        try:
            epoch.write(self._directory)
        except OSError as error:
            pass_on(error)
            self._on_damage(error, f"{self._path}/{runs.NAME}")
            return False
        return True

    def _archive(self, found: FoundSlots, *, is_begun: bool) -> None:
        """Move the values of the free files into the archive, as far as there is room."""
        copy = self._archived()
        kept, damage = copy.archive() if copy else (Archive(), None)
        path = f"{self._path}/{archive.NAME}"
        if damage is not None:
            self._on_damage(damage, path)
        archived = [number for number in found.free if self._add(kept, number, found)]
        if is_begun and not self._keeps_unchanged:
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
            if is_passing(error):
                # Otherwise an empty one would replace it.
                raise
            self._on_damage(error, f"{self._path}/{archive.NAME}")
            return None

    def _add(self, kept: Archive, number: int, found: FoundSlots) -> bool:
        try:
            header, content = content_of(found.free[number].descriptor)
        except OtherLayout:
            return True
        except Damaged as error:
            self._on_damage(error, f"{self._path}/slot-{number}")
            return True
        damage = kept.add(header, content)
        if damage is not None:
            self._on_damage(damage, f"{self._path}/slot-{number}")
        return True

    def _in_use(self, found: FoundSlots) -> set[Series]:
        in_use: set[Series] = set()
        for number in found.held:
            with (
                suppress(OSError, Damaged),
                TemporaryFile(name_of(number), os.O_RDONLY, self._directory) as file,
            ):
                header, content = content_of(file.descriptor)
                in_use |= archive.label_sets(content, header.used)
        return in_use


def _lowest_free(directory: int) -> int:
    taken = set(numbers(directory))
    return next(number for number in range(len(taken) + 1) if number not in taken)


def _aligned_size(size: int) -> int:
    return -(-size // FIRST_SIZE) * FIRST_SIZE
