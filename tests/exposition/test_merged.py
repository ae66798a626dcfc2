"""What becomes of a family that processes declare in different ways."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tachikoma_metrics.exposition.merged import MergedMetric
from tachikoma_metrics.store import Declaration, Merger, Reading, Series
from tachikoma_metrics.store.reading import ARCHIVE
from tachikoma_metrics.store.slot import MemorySlot


def reading(number: int, *records: tuple[Declaration, Sequence[float]]) -> Reading:
    """Return the content of a file that has one label set of each family."""
    slot = MemorySlot()
    for declaration, values in records:
        series = Series(declaration, tuple("x" for _ in declaration.labels))
        slot.place(series)
        slot.write(slot.records[series], values)
    return Reading(number, (0, slot.serial), *slot.copy(), is_held=number != ARCHIVE)


def shown(*readings: Reading) -> dict[tuple[str, str], float]:
    """Return the samples of the one family, by their suffix and bound."""
    families = Merger().merge(list(readings), lambda error, about: pytest.fail(str(error)))
    metric = MergedMetric(families[0].declaration, families)
    return {
        (sample.name.removeprefix(metric.name), sample.labels.get("le", "")): sample.value
        for sample in metric.samples
        if not sample.name.endswith("_created")
    }


def sizes(*bounds: float) -> Declaration:
    return Declaration("histogram", "sizes", labels=("kind",), bounds=(*bounds, math.inf))


OLD, NEW = sizes(1, 2), sizes(1, 5)


def test_buckets_of_two_releases_that_run_side_by_side_are_added_up():
    found = shown(reading(0, (OLD, [2.0, 1, 1, 0])), reading(1, (NEW, [4.0, 0, 1, 0])))

    assert found == {
        ("_bucket", "1.0"): 1,
        ("_bucket", "2.0"): 2,
        ("_bucket", "5.0"): 3,
        ("_bucket", "+Inf"): 3,
        ("_count", ""): 3,
        ("_sum", ""): 6,
    }


def test_a_total_of_an_earlier_run_is_exposed_until_its_declaration_changes():
    past = reading(ARCHIVE, (OLD, [2.0, 1, 1, 0]))

    assert shown(past)["_count", ""] == 2
    assert shown(reading(0, (OLD, [1.0, 1, 0, 0])), past)["_count", ""] == 3
    assert shown(reading(0, (NEW, [4.0, 0, 1, 0])), past)["_count", ""] == 1
    both = [reading(0, (NEW, [4.0, 0, 1, 0])), reading(1, (OLD, [1.0, 1, 0, 0]))]
    assert shown(*both, past)["_count", ""] == 4


def test_gauges_of_two_declarations_are_the_last_one_or_the_sum_by_their_mode():
    for mode, value in (("livesum", 5.0), ("livemax", 3.0)):
        one = Declaration("gauge", "level", mode=mode)
        other = Declaration("gauge", "level", mode=mode, is_builtin=True)
        records = [(one, [2.0, 1.0, 0, 0, 0]), (other, [3.0, 1.0, 0, 0, 0])]
        readings = [reading(number, record) for number, record in enumerate(records)]

        assert shown(*readings)["", ""] == value
