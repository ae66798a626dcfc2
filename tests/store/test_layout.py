"""What a memory-mapped file may contain."""

from __future__ import annotations

import math
from array import array
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from tachikoma_metrics.store import Declaration, Series
from tachikoma_metrics.store.layout import (
    HEADER_SIZE,
    Damaged,
    Header,
    Kind,
    pack_header,
    parse,
    unpack_header,
)
from tachikoma_metrics.store.slot import MemorySlot

SERIES = st.builds(
    Series,
    st.sampled_from(
        [
            Declaration("counter", "a", labels=("x",)),
            Declaration("gauge", "b", "Help \ud800.", labels=("x",), mode="max"),
            Declaration("histogram", "c", labels=("x",), bounds=(0.5, math.inf)),
            Declaration("summary", "d", labels=("x",), is_ours=True),
        ]
    ),
    st.tuples(st.text(max_size=20)),
)


@given(st.lists(st.tuples(SERIES, st.booleans()), max_size=60))
def test_a_slot_contains_what_was_written_to_it(changes: list[tuple[Series, bool]]):
    slot = MemorySlot()
    expected: dict[Series, float] = {}
    for number, (series, is_removed) in enumerate(changes, 1):
        if is_removed:
            slot.remove(series)
            expected.pop(series, None)
        else:
            slot.memory[slot.place(series)] = expected[series] = float(number)

    header, content = slot.copy()
    values = array("d", content)
    records = [r for r in parse(content, header.used) if r.kind == Kind.SERIES]
    assert {record.series: values[record.first] for record in records} == expected
    assert len(records) == len(expected)


@given(st.binary(max_size=300), st.integers(0, 2**40))
def test_any_bytes_are_a_slot_or_damaged(content: bytes, used: int):
    header = pack_header(Header(used=used))
    for whole in (content, header + content):
        with suppress(Damaged):
            list(parse(whole, unpack_header(whole).used))


@given(st.data())
def test_damage_in_a_slot_affects_only_the_records_after_it(data: st.DataObject):
    slot = MemorySlot()
    for letter in "abcdef":
        slot.memory[slot.place(Series(Declaration("counter", letter), ()))] = 1
    header, sound = slot.copy()
    at = data.draw(st.integers(HEADER_SIZE, len(sound) - 1))
    damaged = sound[:at] + bytes([sound[at] ^ data.draw(st.integers(1, 255))]) + sound[at + 1 :]

    def names(content: bytes) -> list[str]:
        found = []
        with suppress(Damaged):
            for record in parse(content, header.used):
                if record.end <= at:
                    found.append(str(record.subject))
        return found

    assert names(damaged) == names(sound)
