"""Label sets, interned: one that many files have is decoded once, and has a number."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.store import layout
from tachikoma_metrics.store.layout import BLOCK, Damaged, Declaration, Series

Identity = tuple[object, ...]

Cells = tuple[int, int, int]
"""The exemplars of a label set in a file: its number, where they begin, and the size of one."""

Table = tuple[Declaration, dict[bytes, int], int]
"""A metric, the numbers of its label sets, and the size of a cell if these are its exemplars."""


@dataclass(frozen=True)
class FileIndex:
    """Where a file has the first value of each label set, as long as nothing in it moved.

    Label sets are given as their numbers in ``InternedLabelSets``. ``cells`` has those with
    exemplars, each with the first double of its cells and the doubles of one of them.
    """

    identity: Identity
    firsts: dict[int, int]
    is_archive: bool = False
    cells: list[Cells] = field(default_factory=list)


class InternedLabelSets:
    """Give each label set a number, so that one that many files have is decoded once."""

    def __init__(self) -> None:
        self.series: list[Series] = []
        self._tables: dict[bytes, Table] = {}
        self._numbers: dict[Declaration, dict[bytes, int]] = {}

    def read(
        self,
        content: bytes,
        used: int,
        found: dict[int, int],
        cells: list[Cells] | None = None,
    ) -> None:
        """Note in ``found`` where each label set has its values; raise ``Damaged``.

        ``cells`` is where the exemplars are noted.
        """
        tables: list[Table] = []
        for kind, words, width, ordinal, _, first, _ in layout.walk(content, used):
            if kind == layout.Kind.SERIES and ordinal < len(tables):
                declaration, numbers, _ = tables[ordinal]
                number = numbers.get(words)
                if number is None or width != declaration.width:
                    number = self._number(words, width, declaration, numbers)
                found[number] = first
            elif kind == layout.Kind.DECLARATION:
                tables.append(self._table(words))
            elif kind != layout.Kind.REMOVED:
                raise Damaged(f"A record must be of a known kind and metric; got {kind}.")
            elif cells is not None and ordinal < len(tables) and tables[ordinal][2]:
                # If the words cannot be read, only these exemplars are left out.
                with suppress(Damaged):
                    cells.append(self._cells(words, first, tables[ordinal]))

    def _table(self, words: bytes) -> Table:
        if words not in self._tables:
            declaration = layout.read_declaration(words)
            subject = layout.subject_of(declaration)
            size = 0
            if subject is not None:
                declaration, size = subject.declaration, subject.doubles
            self._tables[words] = (declaration, self._numbers.setdefault(declaration, {}), size)
        return self._tables[words]

    def _cells(self, words: bytes, first: int, table: Table) -> Cells:
        declaration, numbers, size = table
        number = numbers.get(words)
        if number is None:
            number = self._number(words, declaration.width, declaration, numbers)
        return number, first, size

    def number_of(self, series: Series) -> int:
        """Return the number of a label set, which need not be in any file."""
        numbers = self._numbers.setdefault(series.declaration, {})
        words = layout.words_of_series(series)
        width = series.declaration.width
        number = numbers.get(words)
        return self._number(words, width, series.declaration, numbers) if number is None else number

    def _number(
        self, words: bytes, width: int, declaration: Declaration, numbers: dict[bytes, int]
    ) -> int:
        series = layout.read_series(layout.Kind.SERIES, words, width, [declaration])
        number = numbers[words] = len(self.series)
        self.series.append(series)
        return number


def without_former(interned: InternedLabelSets, indexes: list[FileIndex]) -> list[FileIndex]:
    """Leave out of the archive the metrics whose declaration has changed.

    A metric whose labels, buckets or type changed starts at zero, once a process of the new
    release has a value of it, and none of the old release.
    """
    declared = _declared(interned, indexes)

    def is_current(number: int) -> bool:
        # Native buckets are current with the histogram that counts in them.
        declaration = interned.series[number].declaration
        if declaration.type == BLOCK:
            declaration = declaration.histogram
        known = declared.get((declaration.is_builtin, declaration.name))
        return known is None or declaration in known

    def current(index: FileIndex) -> FileIndex:
        firsts = {number: at for number, at in index.firsts.items() if is_current(number)}
        return replace(index, firsts=firsts)

    return [current(index) if index.is_archive else index for index in indexes]


def _declared(
    interned: InternedLabelSets, indexes: list[FileIndex]
) -> dict[tuple[bool, str], set[Declaration]]:
    """Return the declarations of processes by the names of the metrics."""
    declared: dict[tuple[bool, str], set[Declaration]] = {}
    for index in indexes:
        if not index.is_archive:
            for declaration in {interned.series[number].declaration for number in index.firsts}:
                key = (declaration.is_builtin, declaration.name)
                declared.setdefault(key, set()).add(declaration)
    return declared


def numbers_by_declaration(
    interned: InternedLabelSets, indexes: list[FileIndex]
) -> dict[Declaration, list[int]]:
    """Return the label sets that are in any file, by metric."""
    numbers: dict[int, None] = {}
    for index in indexes:
        numbers.update(dict.fromkeys(index.firsts))
    found: dict[Declaration, list[int]] = {}
    for number in numbers:
        found.setdefault(interned.series[number].declaration, []).append(number)
    return found


def add_counters_of_lost(
    interned: InternedLabelSets, by_declaration: dict[Declaration, list[int]]
) -> dict[int, int]:
    """Return the label set of the counter for each label set of a gauge that names a counter.

    Most of them are in no file: what was lost is in the record of the gauge.
    """
    counters: dict[int, int] = {}
    for declaration, numbers in list(by_declaration.items()):
        if declaration.lost:
            counted = by_declaration.setdefault(declaration.counter_of_lost, [])
            for number in numbers:
                series = Series(declaration.counter_of_lost, interned.series[number].labels)
                counters[number] = interned.number_of(series)
                if counters[number] not in counted:
                    counted.append(counters[number])
    return counters
