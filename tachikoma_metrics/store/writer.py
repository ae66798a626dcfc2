"""This process's part in the store: which slot it writes, and what becomes of it.

A process claims a slot when one of its values changes for the first time, a forked
child one of its own. What a slot has no room for, or is not to be shared, is in an
annex in memory.
"""

from __future__ import annotations

import errno
import mmap
import os
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, MutableSequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from tachikoma_metrics.catalogue.labels import MOST_OVERFLOWED, overflow
from tachikoma_metrics.interruptions import is_interruption, pass_on, suppress
from tachikoma_metrics.store import exclusion, runs, system
from tachikoma_metrics.store.claims import Claimant
from tachikoma_metrics.store.directory import Directory, Unavailable
from tachikoma_metrics.store.exclusion import one_at_a_time
from tachikoma_metrics.store.exits import call_at_exit
from tachikoma_metrics.store.files import SPARE, close_inherited
from tachikoma_metrics.store.incomplete import Incomplete, is_passing
from tachikoma_metrics.store.layout import Declaration, Series, State
from tachikoma_metrics.store.places import is_elsewhere, preferred
from tachikoma_metrics.store.reading import Reading
from tachikoma_metrics.store.recovery import OpenSlots
from tachikoma_metrics.store.runs import Run
from tachikoma_metrics.store.slot import FileSlot, MemorySlot, Slot, close_all

if TYPE_CHECKING:
    from tachikoma_metrics.store.cells import Cell

_SECONDS_BETWEEN_LOOKS = 1.0
_SECONDS_TO_WAIT = 1.0
_SECONDS_TO_COME_BACK = 1.5
"""In which each process looks for its slot, if any of its values changes."""
_SECONDS_TO_LET_OTHERS_CLAIM = 0.05
_TRIES_TO_CLAIM = 10
"""How often other processes may be in the way before that is a fault."""
_NO_PLACE = frozenset(
    {
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENOLCK,
        errno.ENOSYS,
        errno.ENOTSUP,
    }
)
_OWN_FAULTS = (AttributeError, LookupError, OSError, TypeError, ValueError)
"""What goes wrong here."""
_WIPE_ON_FORK = 18  # https://man7.org/linux/man-pages/man2/madvise.2.html

OnError = Callable[[Exception, object], None]
"""Told the exception, and what it was about."""


def _fork_mark() -> MutableSequence[int]:
    """Return a byte that is 1, and 0 in a forked child.

    Some servers fork without Python's hooks. Where the system cannot do it, the byte
    stays 1, and the hooks are all there is.
    """
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        page.madvise(_WIPE_ON_FORK)
    except (AttributeError, OSError, ValueError, TypeError):
        return bytearray(b"\x01")
    page[0] = 1
    return page  # type: ignore[return-value]  # Its items are bytes, as a bytearray's are.


class Store:
    """Hold the values of this process, where others read them if that is possible.

    ``where`` names the directories that may be used, the best first; none keeps the
    values in memory. ``prepare`` is given one of them before it is used, and returns
    the one to use. ``busy``, ``waiting``, ``alive`` and ``due`` are for the
    cells, which change values without a call to here. ``life`` is another number in a
    forked child.
    """

    def __init__(self, where: Callable[[], tuple[str, ...]] = tuple) -> None:
        self.where = where
        self.seconds_to_keep: Callable[[], float] = lambda: 0.0
        self.prepare: Callable[[str], str] = str
        self.on_error: OnError = lambda error, about: None
        self.busy = False
        self.life = 1
        self.waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self.dropped: deque[tuple[Series, int]] = deque()
        self.alive = _fork_mark()
        self.due = 0.0
        self._reports: deque[Callable[[], object]] = deque()
        self._is_reporting = False
        self._when_tended: list[Callable[[], None]] = []
        self._when_forked: list[Callable[[], None]] = []
        self._owners: dict[Series, int] = {}
        self._slot: FileSlot | None = None
        self._annex = MemorySlot()
        self._try_at = 0.0
        self._has_tried = False
        self._times_busy = 0
        self._trouble: Exception | None = None
        self._obstacles: set[tuple[str, str]] = set()
        self._carried = 0
        self._open = OpenSlots()
        self._moved_from = 0
        self._moved_at = 0.0
        self._is_serving = False
        self._is_to_enter = False
        self._run: Run | None = None

    # --- changes ------------------------------------------------------------

    @one_at_a_time
    def change(self, function: Callable[..., object], *arguments: object) -> None:
        """Call ``function`` where nothing else changes a value: now, or a little later."""
        now = perf_counter()
        was_busy = True
        try:
            was_busy, self.busy = self.busy, True
            if was_busy:
                self.waiting.append((function, arguments))
            else:
                if now >= self.due or not self.alive[0]:
                    self.maintain(now)
                function(*arguments)
        finally:
            if not was_busy:
                self.busy = False
        if self.waiting:
            self.apply_pending()

    @one_at_a_time
    def apply_pending(self) -> None:
        """Make the changes that wait, unless somebody is busy: he will.

        Whoever leaves a change in the queue looks after it here, once he has, and so
        does whoever was busy, once he is not: one of the two finds it.
        """
        while self.waiting and not self.busy:
            was_busy = True
            try:
                was_busy, self.busy = self.busy, True
                if not was_busy:
                    self._apply_pending()
            finally:
                if not was_busy:
                    self.busy = False
        while self._reports and not self._is_reporting:
            self._report_all()

    def _report_all(self) -> None:
        # A report may lead back here; its own reports are for the loop it came from.
        was_reporting = True
        try:
            was_reporting, self._is_reporting = self._is_reporting, True
            while self._reports and not was_reporting:
                self._reports.popleft()()
        finally:
            if not was_reporting:
                self._is_reporting = False

    def _apply_pending(self) -> None:
        while self.waiting:
            # Not popped by a call: an exception from outside would appear after it.
            function, arguments = self.waiting[0]
            del self.waiting[0]
            try:
                function(*arguments)
            except BaseException as error:
                if is_interruption(error):
                    if _was_within(function, error):
                        # Nobody else would make this change.
                        function(*arguments)
                    raise
                self.report(error)  # type: ignore[arg-type]  # What is no Exception interrupts.

    def afterwards(self, call: Callable[[], object]) -> None:
        """Have ``call`` called when nothing is held that it could wait for."""
        self._reports.append(call)
        self.waiting.append((_nothing, ()))

    def report(self, error: Exception, about: object = None) -> None:
        """Tell of a fault, once nothing is held."""
        self.afterwards(partial(self.on_error, error, about))

    # --- places -------------------------------------------------------------

    def attach(self, cell: Cell) -> None:
        """Give ``cell`` the place of its values. Called by a change."""
        try:
            self._drop_the_dropped()
            series = cell.locate()
            if series is not None:
                cell.memory, index = self._place(cell, series)
                cell.index = index + cell.offset
                return
        except _OWN_FAULTS as error:
            pass_on(error)
            self.report(error)
        cell.stay_apart()

    def find(self, cell: Cell) -> list[float] | None:
        """Return the values of ``cell`` if it has a record, without giving it one."""
        series = cell.locate()
        if series is not None and self._owners.get(series, cell.owner) != cell.owner:
            # The record is still that of a metric in whose place this one was made.
            return None
        for home in (self._slot, self._annex):
            if home is not None and series in home.records:
                values = home.values(home.records[series])
                return values[cell.offset : cell.offset + cell.width]
        return None

    def _place(self, cell: Cell, series: Series) -> tuple[memoryview[float], int]:
        slot = self._claimed() or self._annex
        if not slot.has_room(series, cell.limit):
            series = self._overflowed(slot, cell, series)
        home = self._home_of(series)
        index = home.place(series)
        before = self._owners.get(series, cell.owner)
        self._owners[series] = cell.owner
        if before != cell.owner:
            # Another metric of this name was made in the place of that one, which may
            # still be counted with, elsewhere.
            home.zero(series)
            home.move_on()
        return home.memory, index

    def _overflowed(self, slot: Slot, cell: Cell, series: Series) -> Series:
        """Return the label set to count under, of a family that is full."""
        kept = cell.overflowed(series)
        if not slot.has_room(kept, cell.limit + MOST_OVERFLOWED):
            kept = Series(series.declaration, overflow(len(series.labels)))
        if series != kept:
            self.afterwards(cell.on_full)
        return kept

    def owns(self, declaration: Declaration) -> bool:
        """Tell whether the family is of a metric that was made in this process."""
        return any(series.declaration == declaration for series, _ in self.owned())

    def owned(self) -> list[tuple[Series, int]]:
        """Return the label sets of metrics that were made in this process, with the owners."""
        return [(series, owner) for series, owner in self._owners.copy().items() if owner]

    def remove(self, *removed: Series) -> None:
        """Remove values: this process's, and those of processes that are over."""
        self.change(self._remove, removed)

    def _remove(self, removed: Collection[Series]) -> None:
        for series in removed:
            self._owners.pop(series, None)
            self._annex.remove(series)
            if self._slot is not None:
                self._slot.remove(series)
        if removed and self._annex.is_mostly_removed:
            self._annex = self._annex.compacted()
        if self._slot is not None and removed:
            directory = Directory(self._slot.directory)
            self.afterwards(partial(directory.remove, frozenset(removed), _SECONDS_TO_WAIT))

    def _drop_the_dropped(self) -> None:
        removed = []
        while self.dropped:
            series, owner = self.dropped.popleft()
            if self._owners.get(series) == owner:
                removed.append(series)
        self._remove(removed)

    # --- slots --------------------------------------------------------------

    def claim(self) -> None:
        """Claim a slot, if one is to be had and this process has none."""
        self.change(self._claimed)

    def _claimed(self) -> FileSlot | None:
        if self._slot is None and perf_counter() >= self._try_at:
            paths = self.where()
            if paths:
                self._claim(paths)
            else:
                self._try_at = perf_counter() + _SECONDS_BETWEEN_LOOKS
        return self._slot

    def _claim(self, paths: tuple[str, ...]) -> None:
        # The first time there is much to lose: many values, and a life that may be short.
        patience = 0.0 if self._has_tried else _SECONDS_TO_WAIT
        self._has_tried = True
        paths = preferred(paths)
        for path in paths:
            try:
                directory = Directory(self.prepare(path))
                self._hold(directory.claim(self.report, patience, self._claimant()))
                return
            except OSError as error:
                pass_on(error)
                # Only where nobody of the service can be is there another place to meet.
                if not _is_no_place(error) or path == paths[-1]:
                    self._try_later(error, path)
                    return

    def _claimant(self) -> Claimant:
        # A forked child is of its parent's run.
        if self._run is None:
            self._run = runs.current(system.server(), is_serving=self._is_serving)
        return Claimant(self._run._replace(is_serving=self._is_serving), self.seconds_to_keep())

    def begin_serving(self) -> None:
        """Be told that this process answers requests, or works through a queue.

        Another start of the same program is a restart of the service; that of a command is not.
        """
        if not self._is_serving:
            self._is_serving = True
            self._is_to_enter = True
            self.change(self._enter)

    def _enter(self) -> None:
        self._is_to_enter = False
        slot = self._slot
        if slot is None:
            # The claim will say so.
            return
        try:
            directory = Directory(slot.directory)
            directory.enter(self.report, _SECONDS_TO_WAIT, self._claimant())
        except BlockingIOError:
            # Many processes that start take turns.
            self._is_to_enter = True
        except OSError as error:
            pass_on(error)
            self.report(error, slot.directory)

    def obstacle(self) -> OSError | None:
        """Return why no directory can be had, if that is so; makes and claims nothing."""
        obstacle = None
        for path in self.where():
            try:
                Directory(path).look()
                return None
            except OSError as error:
                pass_on(error)
                obstacle = error
        return obstacle

    def _try_later(self, error: OSError, path: str) -> None:
        is_busy = error.errno == errno.EAGAIN
        seconds = _SECONDS_TO_LET_OTHERS_CLAIM if is_busy else _SECONDS_BETWEEN_LOOKS
        self._try_at = perf_counter() + seconds
        self._trouble = error
        self._times_busy = self._times_busy + 1 if is_busy else 0
        # Many processes that start take turns; nothing is lost meanwhile.
        if not is_busy or self._times_busy % _TRIES_TO_CLAIM == 0:
            self._report_of(path, error)

    def _report_of(self, path: str, error: OSError) -> None:
        """Tell of a fault; of a directory that cannot be had, once for as long as that is so."""
        if not _is_no_place(error):
            self.report(error, path)
        elif (path, str(error)) not in self._obstacles:
            self._obstacles.add((path, str(error)))
            self.report(error, path)

    def _hold(self, slot: FileSlot) -> None:
        header = slot.header()
        parent, parent_started = system.server()
        if not parent and system.lives(header.parent, header.parent_started):
            # A command in a worker's place: the server is still to make another worker.
            parent, parent_started = header.parent, header.parent_started
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
            )
        self._slot = slot
        self._times_busy = 0
        SPARE.keep()
        self._obstacles.clear()
        self._owners.clear()
        self._take_from(self._annex)
        self._keep_open(slot)
        self._tell()

    def _take_from(self, source: Slot) -> None:
        """Add the values of ``source`` to those of the slot, as far as there is room."""
        for series, record in list(source.records.items()):
            # What was in memory is made where others can read it now; what they could
            # read before was made then.
            is_known = source is not self._annex
            home = self._home_of(series, source.made_at(record) if is_known else None)
            if home is not source:
                self._carried += 1
                home.absorb(series, source.values(record))
                source.remove(series)

    def _home_of(self, series: Series, made_at: float | None = None) -> Slot:
        slot = self._slot
        if slot is not None and (series in slot.records or perf_counter() >= self._try_at):
            try:
                slot.place(series, made_at)
                return slot
            except OSError as error:
                pass_on(error)
                self._try_later(error, slot.path)
        self._annex.place(series, made_at)
        return self._annex

    # --- from time to time --------------------------------------------------

    def on_maintenance(self, call: Callable[[], None]) -> None:
        """Have ``call`` called with the first change of each second, and with a new slot."""
        if call not in self._when_tended:
            self._when_tended.append(call)

    def on_fork(self, call: Callable[[], None]) -> None:
        """Have ``call`` called in each forked child."""
        if call not in self._when_forked:
            self._when_forked.append(call)

    def maintain(self, now: float) -> None:
        """Look after the slot; called by a change, at ``now``."""
        try:
            if not self.alive[0]:
                self.after_fork()
                self.busy = True
            if now >= self.due:
                self.due = now + _SECONDS_BETWEEN_LOOKS
                self._look_after()
        except _OWN_FAULTS as error:
            pass_on(error)
            self.report(error)

    def _look_after(self) -> None:
        self._drop_the_dropped()
        slot = self._slot
        if slot is not None and (not slot.is_in_place() or self._is_misplaced(slot)):
            self._move(slot)
        elif self._annex.records and self._claimed() is slot:
            self._take_from(self._annex)
        if self._is_to_enter:
            self._enter()
        if self._slot is not None:
            self._slot.note_cpu(time.process_time())
            self._keep_open(self._slot)
            SPARE.restore()
        self._tell()

    def _tell(self) -> None:
        for call in self._when_tended:
            call()

    def _is_misplaced(self, slot: FileSlot) -> bool:
        paths = self.where()
        return slot.directory not in paths or is_elsewhere(slot.directory, paths)

    def _move(self, slot: FileSlot) -> None:
        """Take the values of a slot that others no longer find to another."""
        serial = 0 if slot.is_in_place() else slot.header().serial
        self._moved_from = serial
        self._moved_at = time.monotonic() if serial and len(self._open) > 1 else 0.0
        self._slot = None
        self._try_at = 0.0
        claimed = self._claimed()
        self._moved_from, self._moved_at = 0, 0.0
        if claimed is not None:
            claimed.take_cpu_from(slot.header())
        self._take_from(slot)
        if serial and claimed is not None:
            slot.set_header(state=State.MOVED)
            self._write_back(claimed, serial)
        slot.close()

    def _write_back(self, slot: FileSlot, serial: int) -> None:
        """Write what this process knows of the slots that were removed with its own."""
        directory = Directory(slot.directory)
        try:
            directory.write_back(self._open, _SECONDS_TO_WAIT)
        except OSError as error:
            pass_on(error)
            self.report(error, slot.directory)
        directory.remove_copy(serial)

    def _keep_open(self, slot: FileSlot) -> None:
        with suppress(OSError):
            if slot.is_in_place() and not self._moved_from:
                Directory(slot.directory).keep_open(self._open)

    def revisit(self) -> None:
        """Look, with the next change, whether this is still the right place."""
        self.due = self._try_at = 0.0

    def after_fork(self) -> None:
        """Start from zero in a forked child, with nothing of the parent's held."""
        close_inherited()
        exclusion.renew()
        self.busy = False
        self.life += 1
        self.waiting.clear()
        self.dropped.clear()
        self._reports.clear()
        self._is_reporting = False
        self._owners.clear()
        annex = self._annex
        self._slot, self._annex = None, MemorySlot()
        annex.hide()
        close_all()
        self._open.close()
        self._try_at = 0.0
        self._has_tried = False
        self._times_busy = 0
        self._obstacles.clear()
        self.alive[0] = 1
        for call in self._when_forked:
            try:
                call()
            except Exception as error:
                self.report(error)

    def leave(self) -> None:
        """Give the slot back and take none again, for a process that only looks at others.

        What it recorded until then stays; what it records from now on, it alone sees.
        """
        self.where = tuple
        self.after_fork()

    def finish(self) -> None:
        """Make the changes that wait, at the end of the process.

        What could not be shared so far is now, if that takes no longer than to claim.
        """
        self.due = self._try_at = 0.0
        self._has_tried = False
        try:
            self.change(_nothing)
        except (KeyboardInterrupt, SystemExit):
            # A server that asks twice is obeyed already; what waits is not to be lost.
            self.change(_nothing)

    @property
    def is_shared(self) -> bool:
        """Tell whether other processes see the values of this one."""
        return self._slot is not None

    # --- readings -----------------------------------------------------------

    def readings(self) -> list[Reading]:
        """Return what is in the slots of all processes; where there are none, in the annex.

        What this process has in its annex beside slots comes when there is room for it: each
        process would show its own. Raises ``Incomplete`` if a slot cannot be read just now, or
        if this process is one of several that share nothing.
        """
        self._tell()
        self.change(self._drop_the_dropped)
        while True:
            before, slot = self._carried, self._slot
            try:
                found = self._in_slots(slot) or self._in_annex()
            except ValueError:
                # It grew in another thread while this one looked.
                continue
            # What moved from the annex meanwhile is in neither or in both.
            if (self._carried, self._slot) == (before, slot):
                return found

    def _in_annex(self) -> list[Reading]:
        if self.where() and system.has_siblings():
            trouble = self._trouble or LookupError("this process has no file among theirs yet")
            raise Incomplete("What the other processes have counted", trouble)
        identity = (0, self._annex.serial)
        return [Reading(-1, identity, *self._annex.copy(), is_held=True, is_private=True)]

    def _in_slots(self, slot: FileSlot | None) -> list[Reading]:
        try:
            if slot is None:
                return self._in_first_place()
            found = self._read(slot.directory)
        finally:
            self.apply_pending()
        if slot is self._slot and slot.serial not in {one.header.serial for one in found}:
            # With the next change it is made anew.
            self.revisit()
            raise Incomplete(slot.path, LookupError("it was removed or damaged"))
        _require_applied(slot.directory, found)
        return found

    def _in_first_place(self) -> list[Reading]:
        """Return what is in the slots of others, without one of this process's."""
        for path in self.where():
            try:
                found = self._read(path)
            except Incomplete as error:
                if error.__cause__ is None or is_passing(error.__cause__):
                    raise
                # The claim has told of a place that nobody of the service can have.
                continue
            if found:
                return found
        return []

    def _read(self, path: str) -> list[Reading]:
        try:
            return Directory(path).readings(self.report)
        except (OSError, MemoryError) as error:
            pass_on(error)
            raise Incomplete(path, error) from error

    def _path(self) -> str | None:
        if self._slot is not None:
            return self._slot.directory
        return next(filter(os.path.isdir, preferred(self.where())), None)

    def note_cpu(self, seen: Iterable[tuple[Reading, float]]) -> None:
        """Write down the CPU seconds of slots' holders, for the time after their death."""
        path = self._path()
        if path is not None:
            Directory(path).note_cpu(seen)


def _is_no_place(error: OSError) -> bool:
    """Tell whether no process of the service can have the directory."""
    return isinstance(error, Unavailable) or error.errno in _NO_PLACE


def _require_applied(path: str, readings: Iterable[Reading]) -> None:
    """Raise ``Incomplete`` while the processes of a directory that was removed come back."""
    now = time.monotonic()
    if any(0 <= now - one.header.moved_at < _SECONDS_TO_COME_BACK for one in readings):
        raise Incomplete(path, LookupError("it was removed, and processes are coming back to it"))


def _was_within(function: Any, error: BaseException) -> bool:
    """Tell whether an exception left ``function``, called by the frame that caught it."""
    called = error.__traceback__.tb_next if error.__traceback__ else None
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return called is not None and called.tb_frame.f_code is code


def _nothing() -> None:
    """Change nothing: whoever waits for the end of a change gets one."""


STORE = Store()
"""The store of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=STORE.after_fork)
call_at_exit(STORE.finish)
