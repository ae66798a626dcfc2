"""The totals of processes that have ended, added up in one file.

A process that starts takes over the slot of a process of its run. The slots of earlier runs are
added to the archive, which no process holds. A new archive replaces the old one by a rename, and
lists the slots that were added: a reader ignores those, if their files still exist.

The archive has the header and the records of a slot, and then, as JSON, the age of each label set
and the list of slots.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from operator import add

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.store import gauges, layout, system
from tachikoma_metrics.store.files import TemporaryFile, replace
from tachikoma_metrics.store.label_sets import InternedLabelSets
from tachikoma_metrics.store.layout import (
    BLOCK,
    DOUBLE,
    GAUGE,
    HEADER_SIZE,
    LARGEST_COUNT,
    LARGEST_SIZE,
    Damaged,
    Declaration,
    Header,
    Kind,
    Series,
)
from tachikoma_metrics.store.reading import ARCHIVE, Reading

NAME = "archive"

_MOST_FOLDED = 256
"""Serial numbers that are kept: a file is removed as soon as it is in the archive or, if the
process that adds it is killed, by the next process."""
_OF_PROCESSES = ("python_", "tachikoma_metrics_")
"""Prefixes of metrics that every process has, even if it does nothing else."""

_DROPPED_AT = 2
"""The age, in restarts, at which a label set is dropped that no process has changed."""


@dataclass(slots=True)
class Total:
    """The values of a label set, when it was made, and how many restarts ago it changed."""

    values: list[float]
    made_at: float
    age: int = 0


@dataclass
class Archive:
    """The total of each label set.

    ``folded`` are the serial numbers of the slots that were added, the latest last.
    ``clock_zero`` is that of the moments at which label sets were made.
    ``has_counted`` says that a slot that was added now has counted anything of the service.
    """

    totals: dict[Series, Total] = field(default_factory=dict)
    folded: list[int] = field(default_factory=list)
    cpu_seconds: float = 0.0
    interned: InternedLabelSets = field(default_factory=InternedLabelSets)
    has_counted: bool = False
    clock_zero: float = 0.0

    # --- changes ------------------------------------------------------------

    def add(self, header: Header, content: bytes) -> Damaged | None:
        """Add the values of a slot whose holder has ended; return what was wrong with them."""
        totals, damage = _totals(content, header.used, self.interned)
        lag = self._lag_of(header)
        for series, total in totals.items():
            total.made_at += lag
            if series.declaration.type != GAUGE:
                self.has_counted = self.has_counted or _is_of_service(series, total)
                self._add(series, total)
                continue
            # A gauge with a sample for each worker drops the workers of earlier runs.
            if series.declaration.mode not in gauges.BY_WORKER:
                for left, values in gauges.remaining(series, total.values):
                    self._add(left, Total(values, total.made_at))
        # The values of the file that it replaced are in the archive with it.
        more = [number for number in (header.moved_from, header.serial) if number]
        self.folded.extend(more)
        self.cpu_seconds += header.cpu_left + header.cpu_seen
        return damage

    def _lag_of(self, header: Header) -> float:
        """Return by how much the clock of a slot is behind: processes find its zero differently.

        Without this, a start would move when a slot is added.
        """
        self.clock_zero = system.lasting_clock_zero(self.clock_zero or header.clock_zero)
        lag = (header.clock_zero or self.clock_zero) - self.clock_zero
        return lag if system.is_same_clock(lag) else 0.0

    def _add(self, series: Series, more: Total) -> None:
        own = self.totals.setdefault(series, more)
        if own is more:
            return
        if series.declaration.type == GAUGE:
            own.values = gauges.both_left(series.declaration.mode, own.values, more.values)
        else:
            own.values = list(map(add, own.values, more.values))
        own.made_at = min(own.made_at, more.made_at)
        own.age = 0

    def begin_epoch(self, in_use: Collection[Series]) -> None:
        """Drop the label sets that no process has changed since the restart before last.

        Those ``in_use`` are in the slot of a live process. A start that failed before anything
        was counted is no restart.
        """
        if not self.has_counted:
            return
        for series, total in self.totals.items():
            total.age = 1 if series in in_use else total.age + 1
        # Native buckets stay for as long as the count that includes them.
        wholes = ((series, self.totals.get(series.whole)) for series in self.totals)
        dropped = [one for one, whole in wholes if whole is None or whole.age >= _DROPPED_AT]
        for series in dropped:
            del self.totals[series]

    def remove(self, removed: Iterable[Series]) -> bool:
        """Remove label sets; return whether there was any."""
        wanted = set(removed)
        found = [series for series in self.totals if series.whole in wanted]
        for series in found:
            del self.totals[series]
        return bool(found)

    # --- files --------------------------------------------------------------

    def write(self, directory: int) -> None:
        """Replace the file of the archive, or leave it as it was and raise ``OSError``."""
        replace(directory, NAME, self._encoded())

    def _encoded(self) -> bytes:
        content = bytearray(HEADER_SIZE)
        ordinals: dict[Declaration, int] = {}
        for series, total in self.totals.items():
            if series.declaration not in ordinals:
                content += layout.encode_declaration(series.declaration)
            ordinal = ordinals.setdefault(series.declaration, len(ordinals))
            content += layout.encode_series(series, ordinal)
            values = total.made_at, *total.values
            begin = len(content) - len(values) * DOUBLE
            kind = "Q" if series.declaration.type == BLOCK else "d"
            struct.pack_into(f"=d{len(total.values)}{kind}", content, begin, *values)
        if len(content) > LARGEST_SIZE:
            raise OSError(f"An archive must have at most {LARGEST_SIZE} bytes.")
        header = Header(
            used=len(content),
            cpu_left=self.cpu_seconds,
            boot=system.boot(),
            clock_zero=system.lasting_clock_zero(self.clock_zero),
        )
        content[:HEADER_SIZE] = layout.pack_header(header)
        return _encode(bytes(content), [total.age for total in self.totals.values()], self.folded)


@dataclass(frozen=True)
class Copy:
    """The file of the archive; ``content`` is that of a slot."""

    header: Header
    content: bytes
    ages: tuple[int, ...]
    folded: tuple[int, ...]
    identity: tuple[int, ...]

    def archive(self) -> tuple[Archive, Damaged | None]:
        """Return the archive, for additions, and what was wrong with it."""
        interned = InternedLabelSets()
        totals, damage = _totals(self.content, self.header.used, interned)
        # A damaged archive may lack ages; then no label set is dropped too early.
        for total, age in zip(totals.values(), self.ages, strict=False):
            total.age = age
        # Slots that are added from now on are all kept: their files exist until all are added.
        folded = list(self.folded[-_MOST_FOLDED:])
        header = self.header
        kept = Archive(totals, folded, header.cpu_left, interned, clock_zero=header.clock_zero)
        return kept, damage

    def write(self, directory: int) -> None:
        """Write the file of the archive as it was; raise ``OSError`` if there is no room."""
        replace(directory, NAME, _encode(self.content, self.ages, self.folded))

    def reading(self) -> Reading:
        """Return the archive as the reading of a slot that no process holds."""
        return Reading(ARCHIVE, self.identity, self.header, self.content, is_held=False)


def read(directory: int) -> Copy | None:
    """Return the file of the archive; None without one.

    Raises ``OSError`` if it cannot be read, and ``Damaged`` if it is no archive.
    """
    try:
        with TemporaryFile(NAME, os.O_RDONLY, directory) as file:
            status = os.fstat(file.descriptor)
            content = _read_all(file.descriptor, min(status.st_size, LARGEST_SIZE))
    except FileNotFoundError:
        return None
    header = layout.unpack_header(content)
    ages, folded = _rest(content[header.used :])
    return Copy(header, content[: header.used], ages, folded, _identity(status))


def folded(directory: int) -> tuple[int, ...]:
    """Return the serial numbers of the slots that were added, without reading the values.

    Raises ``OSError`` if the archive cannot be read, and ``Damaged`` if it is none.
    """
    try:
        with TemporaryFile(NAME, os.O_RDONLY, directory) as file:
            used = layout.unpack_header(os.pread(file.descriptor, layout.HEADER_SIZE, 0)).used
            size = min(os.fstat(file.descriptor).st_size, LARGEST_SIZE) - used
            return _rest(_read_all(file.descriptor, max(size, 0), used))[1]
    except FileNotFoundError:
        return ()


def remove(directory: int, removed: Collection[Series]) -> None:
    """Remove label sets; raise ``OSError`` or ``Damaged`` if that cannot be."""
    copy = read(directory)
    if copy is not None:
        kept, _ = copy.archive()
        if kept.remove(removed):
            kept.write(directory)


def identity(directory: int) -> tuple[int, ...] | None:
    """Return what differs for each archive that was ever in the directory."""
    try:
        return _identity(os.stat(NAME, dir_fd=directory, follow_symlinks=False))
    except FileNotFoundError:
        return None


def _identity(status: os.stat_result) -> tuple[int, ...]:
    # A file system may use the inode number of a removed file again.
    return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size


def _is_of_service(series: Series, total: Total) -> bool:
    """Return whether anything was counted that not every process counts."""
    declaration = series.declaration
    return any(total.values) and not (
        declaration.is_builtin and declaration.name.startswith(_OF_PROCESSES)
    )


def _totals(
    content: bytes, used: int, interned: InternedLabelSets
) -> tuple[dict[Series, Total], Damaged | None]:
    """Return the total of each label set of a slot, and what is wrong after the last one."""
    firsts: dict[int, int] = {}
    damage = None
    try:
        interned.read(content, used, firsts)
    except Damaged as error:
        damage = error
    whole = memoryview(content[: len(content) // DOUBLE * DOUBLE])
    doubles: memoryview[float] = whole.cast("d")
    words: memoryview[int] = whole.cast("Q")
    found = {}
    for number, first in firsts.items():
        series = interned.series[number]
        is_block = series.declaration.type == BLOCK
        values = list((words if is_block else doubles)[first : first + series.declaration.width])
        if is_block and max(values) >= LARGEST_COUNT:
            damage = Damaged(f"{series.declaration.name} must have native buckets with counts.")
            values = [0] * len(values)
        found[series] = Total(values, doubles[first - 1])
    return found, damage


def _encode(content: bytes, ages: Iterable[int], folded: Iterable[int]) -> bytes:
    return content + json.dumps({"ages": list(ages), "folded": list(folded)}).encode()


def _rest(encoded: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    try:
        rest = json.loads(encoded)
        return tuple(map(int, rest["ages"])), tuple(map(int, rest["folded"]))
    except Exception as error:
        pass_on(error)
        raise Damaged("An archive must list the slots that are in it.") from error


def _read_all(descriptor: int, size: int, begin: int = 0) -> bytes:
    content = bytearray()
    while chunk := os.pread(descriptor, size - len(content), begin + len(content)):
        content += chunk
    return bytes(content)


def label_sets(content: bytes, used: int) -> set[Series]:
    """Return the label sets of a slot, as far as it can be read."""
    found = set()
    with suppress(Damaged):
        for record in layout.parse(content, used):
            if record.kind == Kind.SERIES:
                found.add(record.series)
    return found
