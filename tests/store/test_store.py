"""What a slot may hold."""

from __future__ import annotations

import math
import tempfile
import time
from array import array
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tachikoma_metrics.store import Declaration, Series, bases, exclusion, gauges
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

# --- what a slot may hold ---------------------------------------------------

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
def test_a_slot_says_what_was_written_to_it(changes: list[tuple[Series, bool]]):
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
def test_what_is_changed_in_a_slot_costs_what_comes_after_it_alone(data: st.DataObject):
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


def test_where_there_is_no_global_lock_there_is_one_here(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exclusion, "HAS_GIL", False)
    inside: list[int] = []

    @exclusion.one_at_a_time
    def work() -> int:
        inside.append(1)
        time.sleep(0.001)
        return len(inside) - (inside.pop() - 1)

    with ThreadPoolExecutor(8) as pool:
        assert {pool.submit(work).result() for _ in range(20)} == {1}
        assert {future.result() for future in [pool.submit(work) for _ in range(20)]} == {1}


# --- where slots may be ------------------------------------------------------


def test_where_nothing_temporary_can_be_written_the_other_places_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def nowhere() -> NoReturn:
        # As in a container whose file system is read-only.
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))

    assert bases()[-1] == str(tmp_path)


# --- what remains of a process that is over -----------------------------------

IN_PROGRESS = Declaration("gauge", "jobs", labels=("x",), mode="livesum", is_ours=True, lost="gone")


@pytest.mark.parametrize(
    ("values", "lost"),
    [
        ([0.0] * 5, 0),
        ([3.0, 0, 0, 0, 0], 3),
        ([3.0, 0, 0, 2.0, 2.0], 5),
        ([-1.0, 0, 0, 2.0, 2.0], 2),
        ([3.0, 0, 0, 2.0, 5.0], 5),
        ([0.0, 0, 0, 2.0, 5.0], 5),
    ],
)
def test_of_what_was_in_progress_the_counter_of_what_was_lost_remains(
    values: list[float], lost: float
):
    ((series, remaining),) = gauges.remaining(Series(IN_PROGRESS, ("a",)), values)

    assert series == Series(Declaration("counter", "gone", labels=("x",), is_ours=True), ("a",))
    assert remaining == [lost]


def test_of_a_total_all_remains_and_of_another_gauge_what_it_left():
    counter = Series(Declaration("counter", "a"), ())
    gauge = Series(Declaration("gauge", "b", mode="sum"), ())

    assert gauges.remaining(counter, [3.0]) == [(counter, [3.0])]
    assert gauges.remaining(gauge, [3.0, 9.0, 0, 2.0, 8.0]) == [(gauge, [0, 0, 0, 5.0, 9.0])]
