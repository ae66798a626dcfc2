"""How this process gets its file: in the first directory that can be used."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store import runs, system
from tachikoma_metrics.store.claims import Claimant
from tachikoma_metrics.store.directory import SECONDS_TO_WAIT, Directory
from tachikoma_metrics.store.files import SPARE
from tachikoma_metrics.store.layout import Header, State
from tachikoma_metrics.store.places import preferred
from tachikoma_metrics.store.runs import Run
from tachikoma_metrics.store.slot import FileSlot
from tachikoma_metrics.store.writer.allocator import Allocator
from tachikoma_metrics.store.writer.attempts import Attempts, is_unusable
from tachikoma_metrics.store.writer.changes import Changes


class Acquisition:
    """Claim a file, and register the run of this process.

    ``is_to_register`` says that the directory does not know yet that this process serves.
    ``on_acquired`` is called with each file that was claimed.
    """

    def __init__(
        self,
        changes: Changes,
        attempts: Attempts,
        allocator: Allocator,
        on_acquired: Callable[[FileSlot], None],
    ) -> None:
        self.is_to_register = False
        self._changes = changes
        self._attempts = attempts
        self._allocator = allocator
        self._on_acquired = on_acquired
        self._moved_from = 0
        self._moved_at = 0.0
        self._is_serving = False
        self._run: Run | None = None

    # --- claims -------------------------------------------------------------

    def acquire(self) -> FileSlot | None:
        """Return the file of this process; claim one if there is none yet, and it is time."""
        if self._allocator.slot is None and self._attempts.is_due:
            paths = self._changes.where()
            if paths:
                self._claim(paths)
            else:
                self._attempts.postpone()
        return self._allocator.slot

    def _claim(self, paths: tuple[str, ...]) -> None:
        patience = self._attempts.begin()
        paths = preferred(paths)
        for path in paths:
            try:
                directory = Directory(self._changes.prepare(path))
                self._hold(directory.claim(self._changes.report, patience, self._claimant()))
                return
            except OSError as error:
                pass_on(error)
                # Another directory is only used where no process of the service can use this.
                if not is_unusable(error) or path == paths[-1]:
                    self._attempts.fail(error, path)
                    return

    def _claimant(self) -> Claimant:
        # A forked child is of its parent's run.
        if self._run is None:
            self._run = runs.current(system.server(), is_serving=self._is_serving)
        run = self._run._replace(is_serving=self._is_serving)
        options = self._changes
        return Claimant(run, options.seconds_to_keep(), options.keeps_unchanged())

    def _hold(self, slot: FileSlot) -> None:
        header = slot.header()
        parent, parent_started = _server_of(header)
        stat = system.stat_of(os.getpid())
        with slot.rewriting():
            slot.leave_behind()
            slot.set_header(
                claimed_at=time.time(),
                pid=os.getpid(),
                run=self._claimant().run.number,
                moved_from=self._moved_from,
                moved_at=self._moved_at,
                state=State.OWN,
                started=stat.started if stat else 0,
                parent=parent,
                parent_started=parent_started,
                namespace=system.namespace(),
                boot=system.boot(),
                cpu_left=header.cpu_left + header.cpu_seen,
                cpu_seen=0.0,
                clock_zero=system.lasting_clock_zero(header.clock_zero),
            )
        self._allocator.slot = slot
        self._attempts.succeed()
        SPARE.keep()
        self._allocator.take_from_annex()
        self._on_acquired(slot)

    def obstacle(self) -> OSError | None:
        """Return why no directory can be used, if that is so; makes and claims nothing."""
        obstacle = None
        for path in self._changes.where():
            try:
                Directory(path).check()
                return None
            except OSError as error:
                pass_on(error)
                obstacle = error
        return obstacle

    # --- a directory that was removed ---------------------------------------

    @property
    def is_moving(self) -> bool:
        """Return whether the file is claimed in place of one that was removed."""
        return self._moved_from != 0

    def acquire_another(self, moved_from: int, moved_at: float) -> FileSlot | None:
        """Claim a file in place of the one with the serial number ``moved_from``, or another."""
        self._moved_from = moved_from
        self._moved_at = moved_at
        self._allocator.slot = None
        self._attempts.try_at = 0.0
        claimed = self.acquire()
        self._moved_from, self._moved_at = 0, 0.0
        return claimed

    # --- runs ---------------------------------------------------------------

    def begin_serving(self) -> None:
        """Note that this process answers requests, or works through a queue."""
        if not self._is_serving:
            self._is_serving = True
            self.is_to_register = True
            self._changes.change(self.register)

    def register(self) -> None:
        """Register the run of this process in the directory of its file."""
        self.is_to_register = False
        slot = self._allocator.slot
        if slot is None:
            # The claim registers it.
            return
        try:
            directory = Directory(slot.directory)
            directory.register(self._changes.report, SECONDS_TO_WAIT, self._claimant())
        except BlockingIOError:
            # Many processes that start take turns.
            self.is_to_register = True
        except OSError as error:
            pass_on(error)
            self._changes.report(error, slot.directory)


def _server_of(header: Header) -> tuple[int, int]:
    """Return pid and start of the server that makes another process when this one ends."""
    parent, parent_started = system.server()
    if not parent and system.is_live(header.parent, header.parent_started):
        # A command in a worker's place: the server is still to make another worker.
        return header.parent, header.parent_started
    return parent, parent_started
