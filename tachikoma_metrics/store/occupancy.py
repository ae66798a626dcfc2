"""Which memory-mapped files of a directory a process holds, and which are free."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store import archive, system
from tachikoma_metrics.store.files import TemporaryFile
from tachikoma_metrics.store.incomplete import is_passing
from tachikoma_metrics.store.layout import Damaged, Header, State
from tachikoma_metrics.store.reading import header_of, headers, name_of, numbers
from tachikoma_metrics.store.runs import Run


@dataclass
class FoundSlots:
    """The slots of a directory; ``free`` has the files that are locked here."""

    free: dict[int, TemporaryFile] = field(default_factory=dict)
    headers: dict[int, Header | None] = field(default_factory=dict)
    held: dict[int, Header | None] = field(default_factory=dict)

    @property
    def live_runs(self) -> set[int]:
        """Return the numbers of the runs that hold a file, or whose server is live."""
        headers = [*self.held.values(), *filter(_has_server, self.headers.values())]
        return {header.run for header in headers if header is not None}

    def of(self, run: Run) -> Iterable[int]:
        """Return the numbers of the free files of a run."""
        return [
            number for number, header in self.headers.items() if header and header.run == run.number
        ]


def is_in_use(directory: int) -> bool:
    """Return whether a process holds a file, or the server of a former holder may be live."""
    with ExitStack() as stack:
        found = find_slots(directory, stack, is_shared=True)
        headers = [header for header in found.headers.values() if header is not None]
        return bool(found.held) or any(is_server_live(one) is not False for one in headers)


def find_slots(
    directory: int, stack: ExitStack, run: Run | None = None, *, is_shared: bool = False
) -> FoundSlots:
    """Return the slots, up to the first free one of ``run``."""
    found = FoundSlots()
    for number in numbers(directory):
        file = _opened(number, directory, stack)
        if file is None:
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


def _opened(number: int, directory: int, stack: ExitStack) -> TemporaryFile | None:
    """Return the file of a slot; None if it is not a file, or another user's."""
    try:
        file = stack.enter_context(TemporaryFile(name_of(number), os.O_RDWR, directory))
    except OSError as error:
        pass_on(error)
        if is_passing(error):
            # A file that is ignored would not count as held.
            raise
        return None
    return file if stat.S_ISREG(os.fstat(file.descriptor).st_mode) else None


def counted_elsewhere(directory: int) -> set[int]:
    """Return the serial numbers of files whose values are in the archive, or in another file.

    Raises ``OSError`` if that cannot be read now.
    """
    found: set[int] = set()
    with suppress(Damaged):
        found.update(archive.folded(directory))
    for _, header in headers(directory):
        found.add(header.moved_from)
        if header.state == State.MOVED:
            found.add(header.serial)
    return found - {0}


def _header_or_none(file: TemporaryFile) -> Header | None:
    try:
        return header_of(file.descriptor)
    except (OSError, Damaged) as error:
        pass_on(error)
        return None


def _has_server(header: Header | None) -> bool:
    return header is not None and is_server_live(header) is True


def is_server_live(header: Header) -> bool | None:
    """Return whether the server of a file's last holder is live; None if unknown."""
    if header.boot != system.boot():
        return False
    if header.namespace != system.namespace() or system.stat_of(os.getpid()) is None:
        return None
    return system.is_live(header.parent, header.parent_started)


def stands_for_live_process(header: Header) -> bool:
    """Return whether a file is the copy of a removed one that a process still writes to."""
    return header.state == State.COPY and system.is_live(header.pid, header.started)
