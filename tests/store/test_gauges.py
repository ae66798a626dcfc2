"""What remains of the values of a process that has ended."""

from __future__ import annotations

import pytest

from tachikoma_metrics.store import Declaration, Series, gauges

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
def test_operations_in_progress_remain_in_the_counter_of_lost_ones(
    values: list[float], lost: float
):
    ((series, remaining),) = gauges.remaining(Series(IN_PROGRESS, ("a",)), values)

    assert series == Series(Declaration("counter", "gone", labels=("x",), is_ours=True), ("a",))
    assert remaining == [lost]


def test_totals_remain_and_other_gauges_keep_what_was_left_behind():
    counter = Series(Declaration("counter", "a"), ())
    gauge = Series(Declaration("gauge", "b", mode="sum"), ())

    assert gauges.remaining(counter, [3.0]) == [(counter, [3.0])]
    assert gauges.remaining(gauge, [3.0, 9.0, 0, 2.0, 8.0]) == [(gauge, [0, 0, 0, 5.0, 9.0])]
