"""The totals of processes that have ended."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tachikoma_metrics.store import archive, system
from tachikoma_metrics.store.archive import Archive, Total
from tachikoma_metrics.store.layout import COUNTER, Declaration, Series

SALES = Declaration(COUNTER, "sales", labels=("fruit",))
APPLES, PEARS = Series(SALES, ("apple",)), Series(SALES, ("pear",))


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def written(directory: int, kept: Archive) -> archive.Copy:
    kept.write(directory)
    copy = archive.read(directory)
    assert copy is not None
    return copy


def test_a_start_stays_where_it_was_when_a_slot_is_added(directory: int):
    zero = system.clock_zero()
    before = written(directory, Archive({APPLES: Total([1.0], 50.0)}, clock_zero=zero))
    # Another process finds the zero of the same clock some microseconds later.
    slot = written(directory, Archive({PEARS: Total([2.0], 60.0)}, clock_zero=zero + 5e-6))

    kept, _ = before.archive()
    kept.add(slot.header, slot.content)
    after = written(directory, kept)

    assert before.header.clock_zero == after.header.clock_zero == zero
    moments = [total.made_at for total in after.archive()[0].totals.values()]
    assert moments == pytest.approx([50.0, 60.0 + 5e-6], abs=1e-6)


def test_a_slot_from_before_the_time_was_set_keeps_its_moments(directory: int):
    zero = system.clock_zero()
    slot = written(directory, Archive({PEARS: Total([2.0], 60.0)}, clock_zero=zero))
    header = slot.header._replace(clock_zero=zero - 3600)

    kept = Archive()
    kept.add(header, slot.content)

    assert kept.clock_zero == pytest.approx(zero, abs=0.1)
    assert kept.totals[PEARS].made_at == 60.0
