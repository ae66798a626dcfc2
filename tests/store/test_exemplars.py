"""The bytes of exemplars, and where a file has them."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachikoma_metrics.store import Declaration, Exemplar, Merger, Reading, Series
from tachikoma_metrics.store.layout import (
    CELL_SIZES,
    DOUBLE,
    HEADER_SIZE,
    Kind,
    holder_of,
    pack,
    parse,
    subject_of,
    unpack,
    walk,
)
from tachikoma_metrics.store.slot import MemorySlot

COUNTER = Declaration("counter", "a", labels=("x",))
HISTOGRAM = Declaration("histogram", "c", labels=("x",), bounds=(0.5, 1.0, math.inf))
EVERYTHING_ELSE = Declaration("histogram", "d", bounds=(math.inf,), is_builtin=True)
TRACE = {"trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331"}

LABELS = st.dictionaries(
    st.from_regex(r"[a-z_][a-z0-9_]{0,20}", fullmatch=True) | st.sampled_from(sorted(TRACE)),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=140)
    | st.sampled_from([*TRACE.values()]),
    max_size=4,
)


def failed(error: Exception, about: object) -> None:
    raise error


def reading_of(content: bytes, slot: MemorySlot, number: int = 0) -> Reading:
    return Reading(number, (0, slot.serial), slot.header(), content, is_held=True)


def shown(*readings: Reading) -> dict[tuple[str, int], Exemplar]:
    """Return the exemplars of all lines, by metric and the place of the line."""
    families = Merger().merge(readings, failed)
    return {
        (family.declaration.name, place): exemplar
        for family in families
        if family.exemplars
        for place, exemplar in family.exemplars.by_line.items()
    }


def slot_with(series: Iterable[Series], exemplar: Exemplar | None = None) -> MemorySlot:
    slot = MemorySlot()
    for one in series:
        slot.memory[slot.place(one)] = 1.0
        slot.put_exemplar(one, 0, pack(exemplar or new(TRACE)))
    return slot


def new(labels: dict[str, str], age: float = 0.0) -> Exemplar:
    return Exemplar(labels, 0.25, time.time() - age)


@given(LABELS, st.floats(allow_nan=False), st.floats(0, 2**40))
def test_what_is_packed_is_unpacked(labels: dict[str, str], value: float, timestamp: float):
    packed = pack(Exemplar(labels, value, timestamp))

    if not packed:
        assert all(len(name) + len(text) > 80 for name, text in labels.items())
        return
    assert len(packed) in CELL_SIZES
    found = unpack(packed)
    assert found is not None
    assert (found.value, found.timestamp) == (value, timestamp)
    assert found.labels.items() <= labels.items()
    assert sum(len(name) + len(text) for name, text in found.labels.items()) <= 128
    if sum(len(name) + len(text.encode()) + 2 for name, text in labels.items()) <= 129:
        assert found.labels == labels


def test_a_trace_takes_the_small_cell():
    assert len(pack(new(TRACE))) == 64
    assert len(pack(new({"trace_id": TRACE["trace_id"]}))) == 64
    assert len(pack(new({**TRACE, "tenant": "a"}))) == 192


@given(st.binary(min_size=64, max_size=64) | st.binary(min_size=192, max_size=192))
def test_any_bytes_are_an_exemplar_or_none(cell: bytes):
    unpack(cell)


@pytest.mark.parametrize("labels", [TRACE, {"job": "42"}])
def test_a_part_of_an_exemplar_is_none(labels: dict[str, str]):
    before, after = pack(new(labels, age=5)), pack(new(labels))
    for end in range(1, len(after)):
        torn = after[:end] + before[end:]
        if torn not in (before, after):
            assert unpack(torn) is None
    assert unpack(bytes(64)) is unpack(bytes(192)) is None


@pytest.mark.parametrize("declaration", [COUNTER, HISTOGRAM, EVERYTHING_ELSE])
@pytest.mark.parametrize("size", CELL_SIZES)
def test_a_holder_is_as_long_as_its_cells(declaration: Declaration, size: int):
    holder = holder_of(declaration, size)

    assert holder.width * DOUBLE == max(len(declaration.bounds), 1) * size
    assert subject_of(holder) == (declaration, size)
    assert subject_of(declaration) is None


def test_a_release_without_exemplars_reads_and_keeps_the_records_of_the_others():
    # It knows three kinds of records, and requires each to fit its declaration.
    series = [Series(COUNTER, ("a",)), Series(HISTOGRAM, ("b",)), Series(COUNTER, ("c",))]
    slot = slot_with(series)
    header, content = slot.copy()

    assert {record[0] for record in walk(content, header.used)} == {1, 2, 3}
    records = list(parse(content, header.used))
    assert all(
        record.width == record.series.declaration.width
        for record in records
        if record.kind != Kind.DECLARATION
    )
    assert [r.series for r in records if r.kind == Kind.SERIES] == series


def test_a_process_continues_the_exemplars_of_a_former_holder():
    series = Series(HISTOGRAM, ("b",))
    slot = MemorySlot.holding(slot_with([series]).copy()[1])
    assert slot.adopt() is None
    before = slot.used
    slot.put_exemplar(series, 2, pack(new(TRACE)))

    assert slot.used == before
    assert list(shown(reading_of(slot.copy()[1], slot))) == [("c", 0), ("c", 2)]


def test_the_newest_of_all_processes_is_shown():
    series = Series(COUNTER, ("a",))
    slots = [
        slot_with([series], new({"job": "1"}, age=3)),
        slot_with([series], new({"job": "2"}, age=1)),
        slot_with([series], new(TRACE, age=2)),
        slot_with([series], new({"job": "old"}, age=700)),
    ]
    readings = [reading_of(slot.copy()[1], slot, n) for n, slot in enumerate(slots)]

    assert shown(*readings)["a", 0].labels == {"job": "2"}
    assert shown(*readings[2:])["a", 0].labels == TRACE
    assert shown(readings[3]) == {}


@pytest.mark.parametrize("labels", [TRACE, {"job": "42"}])
def test_damage_costs_one_exemplar(labels: dict[str, str]):
    series = [Series(HISTOGRAM, ("a",)), Series(HISTOGRAM, ("b",)), Series(COUNTER, ("c",))]
    slot = slot_with(series, new(labels))
    content = slot.copy()[1]
    cell = pack(new(labels))[16:40]
    first = content.index(cell) - 16
    assert len(shown(reading_of(content, slot))) == 3

    for place in range(first, first + len(pack(new(labels)))):
        damaged = content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]
        found = shown(reading_of(damaged, slot))
        assert len(found) == 2
        assert all(one.labels == labels for one in found.values())


def test_damaged_words_of_exemplars_cost_no_metric():
    series = [Series(COUNTER, ("a",)), Series(COUNTER, ("b",))]
    slot = slot_with(series)
    content = slot.copy()[1]
    at = next(at for kind, *_, at, _, _ in walk(content, slot.used) if kind == Kind.REMOVED)
    damaged = content[: at + 16] + b"{{{" + content[at + 19 :]

    families = Merger().merge([reading_of(damaged, slot)], failed)
    assert [len(family.lines.label_sets) for family in families] == [2]
    assert len(shown(reading_of(damaged, slot))) == 1


def test_the_place_of_removed_exemplars_is_used_again():
    slot = slot_with([Series(COUNTER, ("a",))])
    slot.remove(Series(COUNTER, ("a",)))
    used = slot.used
    slot.memory[slot.place(Series(COUNTER, ("b",)))] = 1.0
    assert shown(reading_of(slot.copy()[1], slot)) == {}
    slot.put_exemplar(Series(COUNTER, ("b",)), 0, pack(new(TRACE)))

    assert slot.used == used
    assert len(shown(reading_of(slot.copy()[1], slot))) == 1


def test_exemplars_move_with_their_label_sets():
    kept, removed = Series(COUNTER, ("a",)), Series(COUNTER, ("b",))
    slot = slot_with([removed, kept])
    slot.remove(removed)
    compacted = slot.compacted()

    assert compacted.used < HEADER_SIZE + 500
    assert len(shown(reading_of(compacted.copy()[1], compacted))) == 1
