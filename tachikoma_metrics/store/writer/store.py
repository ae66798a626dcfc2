"""The store of this process."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable

from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store import exclusion, layout
from tachikoma_metrics.store.exits import call_at_exit
from tachikoma_metrics.store.files import close_inherited
from tachikoma_metrics.store.layout import Declaration, Exemplar, Series
from tachikoma_metrics.store.reading import Reading
from tachikoma_metrics.store.slot import close_all
from tachikoma_metrics.store.stored_value import StoredValue
from tachikoma_metrics.store.writer.allocator import Allocator, Block
from tachikoma_metrics.store.writer.attempts import Attempts
from tachikoma_metrics.store.writer.changes import Changes, nothing
from tachikoma_metrics.store.writer.maintenance import Maintenance
from tachikoma_metrics.store.writer.reader import Reader

_SECONDS_BETWEEN_MAINTENANCE = 1.0
_OWN_ERRORS = (AttributeError, LookupError, OSError, TypeError, ValueError)
"""Errors that the store itself may raise."""


class Store(Changes):
    """Hold the values of this process, where other processes read them if that is possible.

    ``life`` is another number in a forked child. ``dropped`` is for finalisers, which may run
    at any time: a label set and its owner that are appended are removed by the next change.
    """

    def __init__(self, where: Callable[[], tuple[str, ...]] = tuple) -> None:
        super().__init__(where)
        self.life = 1
        self._fork_calls: list[Callable[[], None]] = []
        self._attempts = Attempts(self.report)
        self._allocator = Allocator(self, self._attempts)
        self._maintenance = Maintenance(self, self._attempts, self._allocator)
        self._acquisition = self._maintenance.acquisition
        self._reader = Reader(self, self._attempts, self._allocator, self.revisit)
        self.dropped = self._allocator.dropped

    # --- places -------------------------------------------------------------

    def attach(self, cell: StoredValue) -> None:
        """Assign ``cell`` the place of its values. Call it only within ``STORE.change``."""
        try:
            self._allocator.remove_dropped()
            series = cell.locate()
            if series is not None:
                self._acquisition.acquire()
                cell.memory, index = self._allocator.place(cell, series)
                cell.index = index + cell.offset
                return
        except _OWN_ERRORS as error:
            pass_on(error)
            self.report(error)
        cell.stay_apart()

    def place_block(self, cell: StoredValue, key: object) -> Block | None:
        """Return where a block of the native buckets of ``cell`` is; None if it has no place.

        ``cell`` has a place. Call it only within ``STORE.change``.
        """
        try:
            series = cell.locate()
            if series is not None and series.declaration.native is not None:
                return self._allocator.place_block(cell, series, key)
        except _OWN_ERRORS as error:
            pass_on(error)
            self.report(error)
        return None

    def initialize(self, wanted: Collection[Series], limit: float) -> None:
        """Make the records of label sets of one metric, at zero, unless that has ``limit`` others.

        Until something is counted in them, they are in the place of no other label set.
        """
        self.change(self._initialize, wanted, limit)

    def _initialize(self, wanted: Collection[Series], limit: float) -> None:
        try:
            self._allocator.remove_dropped()
            self._acquisition.acquire()
            self._allocator.initialize(wanted, limit)
        except _OWN_ERRORS as error:
            pass_on(error)
            self.report(error)

    def put_exemplar(self, series: Series, place: int, exemplar: Exemplar) -> None:
        """Replace the exemplar of a bucket, or that of a counter; the values must have changed."""
        self.change(self._put_exemplar, series, place, exemplar)

    def _put_exemplar(self, series: Series, place: int, exemplar: Exemplar) -> None:
        try:
            cell = layout.pack(exemplar)
            if cell:
                self._allocator.put_exemplar(series, place, cell)
        except Exception as error:
            pass_on(error)
            self.report(error)

    def find(self, cell: StoredValue) -> list[float] | None:
        """Return the values of ``cell`` if it has a record, without making one."""
        return self._allocator.find(cell)

    def owns(self, declaration: Declaration) -> bool:
        """Return whether this declares a metric that was made in this process."""
        return any(series.declaration == declaration for series, _ in self.owned())

    def owned(self) -> list[tuple[Series, int]]:
        """Return the label sets of metrics that were made in this process, with the owners."""
        return self._allocator.owned()

    def remove(self, *removed: Series) -> None:
        """Remove the values of this process, and those of processes that are over."""
        self.change(self._allocator.remove, removed)

    # --- the file of this process -------------------------------------------

    @property
    def is_shared(self) -> bool:
        """Return whether other processes can read the values of this one."""
        return self._allocator.slot is not None

    def claim(self) -> None:
        """Claim a file, if this process has none and can get one."""
        self.change(self._acquisition.acquire)

    def obstacle(self) -> OSError | None:
        """Return why no directory can be used, if that is so; makes and claims nothing."""
        return self._acquisition.obstacle()

    def begin_serving(self) -> None:
        """Note that this process answers requests, or works through a queue.

        Another start of the same program is a restart of the service; that of a command is not.
        """
        self._acquisition.begin_serving()

    # --- maintenance --------------------------------------------------------

    def on_maintenance(self, call: Callable[[], None]) -> None:
        """Call ``call`` with the first change of each second, and with a new file."""
        self._maintenance.add(call)

    def maintain(self, now: float) -> None:
        """Look after the file; called by a change, at ``now``."""
        try:
            if not self.alive[0]:
                self.after_fork()
                self.busy = True
            if now >= self.due:
                self.due = now + _SECONDS_BETWEEN_MAINTENANCE
                self._maintenance.run()
        except _OWN_ERRORS as error:
            pass_on(error)
            self.report(error)

    def revisit(self) -> None:
        """Check, with the next change, whether the file is still in the right place."""
        self.due = self._attempts.try_at = 0.0

    # --- forks, and the end -------------------------------------------------

    def on_fork(self, call: Callable[[], None]) -> None:
        """Call ``call`` in each forked child."""
        if call not in self._fork_calls:
            self._fork_calls.append(call)

    def after_fork(self) -> None:
        """Start from zero in a forked child, with nothing of the parent's held."""
        close_inherited()
        exclusion.renew()
        self._discard_pending()
        self.life += 1
        self._allocator.renew()
        close_all()
        self._maintenance.renew()
        self._attempts.renew()
        self.alive[0] = 1
        for call in self._fork_calls:
            try:
                call()
            except Exception as error:
                self.report(error)

    def leave(self) -> None:
        """Release the file and claim none again, for a process that only inspects others.

        What it recorded until then stays; what it records from now on, no other process reads.
        """
        self.where = tuple
        self.after_fork()

    def finish(self) -> None:
        """Apply the queued changes, at the end of the process.

        Values that are not in a file yet are moved to one, if it can be claimed now.
        """
        self.due = 0.0
        self._attempts.begin_last()
        try:
            self.change(nothing)
        except (KeyboardInterrupt, SystemExit):
            # A second request to exit: the process exits already, and the queue must be applied.
            self.change(nothing)

    # --- readings -----------------------------------------------------------

    def readings(self) -> list[Reading]:
        """Return what is in the files of all processes; where there are none, in the annex.

        What this process has in its annex beside its file comes when there is room for it: each
        process would show its own. Raises ``Incomplete`` if a file cannot be read just now, or
        if this process is one of several that share nothing.
        """
        self._maintenance.call_all()
        self.change(self._allocator.remove_dropped)
        return self._reader.readings()

    def directory(self) -> str | None:
        """Return the directory in which the service has its files; None if it has none."""
        return self._reader.directory()

    def note_cpu(self, seen: Iterable[tuple[Reading, float]]) -> None:
        """Record the CPU seconds of the files' holders, for the time after their death."""
        self._reader.note_cpu(seen)


STORE = Store()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=STORE.after_fork)
call_at_exit(STORE.finish)
