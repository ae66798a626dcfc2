"""Which label sets are exposed."""

from __future__ import annotations

import math

import pytest
from django.test import override_settings
from hypothesis import given
from hypothesis import strategies as st

from tachikoma_metrics import METRICS
from tachikoma_metrics.store import Declaration, Limit, Merger, Reading, Series, limits
from tachikoma_metrics.store.layout import SET_AT
from tachikoma_metrics.store.limits import Moment, Values, moved
from tachikoma_metrics.store.slot import MemorySlot
from tachikoma_metrics.testing import samples

REQUESTS = Declaration("counter", "requests", labels=("path", "status"))
LIMIT = Limit(5, {"status"})

LABEL_SETS = st.dictionaries(
    st.tuples(
        st.one_of(st.text("abc", max_size=3), st.just("overflow")),
        st.sampled_from(["200", "404", "500", "503", "overflow"]),
    ),
    st.floats(0, 10),
    max_size=30,
)


@pytest.fixture(autouse=True, scope="module")
def _few_overflowed() -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(limits, "MOST_OVERFLOWED", 3)
        yield


def shared(made_at: dict[Values, float]) -> dict[Values, Moment]:
    return {values: (False, moment) for values, moment in made_at.items()}


def shown(made_at: dict[Values, Moment], limit: Limit = LIMIT) -> set[Values]:
    found = moved(REQUESTS, limit, made_at)
    return {*made_at, *found.values()} - found.keys()


@given(LABEL_SETS)
def test_no_more_label_sets_are_shown_than_the_limit_allows(made_at: dict[Values, float]):
    assert len(shown(shared(made_at))) <= 5 + 3
    assert len([one for one in shown(shared(made_at)) if "overflow" not in one]) <= 4


@given(LABEL_SETS)
def test_each_label_set_is_shown_or_added_to_one_that_is(made_at: dict[Values, float]):
    found = moved(REQUESTS, LIMIT, shared(made_at))

    assert set(found.values()) <= shown(shared(made_at))
    for values, target in found.items():
        assert target in ((("overflow", values[1])), ("overflow", "overflow"))


@given(LABEL_SETS, LABEL_SETS)
def test_a_later_label_set_replaces_none(made_at: dict[Values, float], later: dict[Values, float]):
    both = {values: moment + 20 for values, moment in later.items()} | made_at

    before, after = (moved(REQUESTS, LIMIT, shared(one)) for one in (made_at, both))
    assert {values: after[values] for values in made_at if values in after} == before
    assert shown(shared(made_at)) <= shown(shared(both))


def test_label_sets_made_at_the_same_time_are_ordered_by_their_values():
    made_at = shared({(path, "200"): 1.0 for path in "fbdace"})

    assert shown(made_at) == {*((path, "200") for path in "abcd"), ("overflow", "200")}


def test_a_label_set_that_no_other_process_can_read_replaces_none():
    made_at = {**shared({(path, "200"): 2.0 for path in "bcde"}), ("a", "200"): (True, 1.0)}

    assert moved(REQUESTS, LIMIT, made_at) == {("a", "200"): ("overflow", "200")}


def test_a_damaged_time_counts_as_the_latest():
    made_at = shared({("a", "200"): math.nan, **{(path, "200"): 2.0 for path in "bcde"}})

    assert moved(REQUESTS, LIMIT, made_at) == {("a", "200"): ("overflow", "200")}


def test_a_metric_whose_labels_are_all_closed_keeps_them():
    made_at = shared({(str(number), "200"): float(number) for number in range(9)})

    found = moved(REQUESTS, Limit(5, {"path", "status"}), made_at)

    assert found == {(str(number), "200"): ("overflow", "overflow") for number in (7, 8)}


def test_without_a_limit_all_label_sets_are_shown():
    made_at = shared({(str(number), "200"): 1.0 for number in range(9)})

    assert moved(REQUESTS, Limit(math.inf), made_at) == {}


# --- label sets of several processes ----------------------------------------


def reading(number: int, values: dict[Series, float], *, is_held: bool = True) -> Reading:
    slot = MemorySlot()
    for moment, (series, value) in enumerate(values.items()):
        slot.memory[slot.place(series, float(moment + 10 * number))] = value
        if series.declaration.type == "gauge":
            slot.memory[slot.place(series) + SET_AT] = moment + 10.0 * number
    return Reading(number, (1, number), *slot.copy(), is_held=is_held)


def merged(*readings: Reading, **limits: Limit) -> dict[str, dict[Values, list[float]]]:
    found: dict[str, dict[Values, list[float]]] = {}
    for family in Merger().merge(readings, lambda *_: None, limits):
        width = len(family.lines.endings)
        for place, values in enumerate(family.lines.label_sets):
            part = list(family.values[place * width : (place + 1) * width])
            found.setdefault(family.declaration.name, {})[values] = part
    return found


def test_label_sets_above_the_limit_are_added_up_in_all_lines():
    times = Declaration("histogram", "times", labels=("path",), bounds=(1, math.inf), is_ours=True)
    jobs = Declaration("gauge", "jobs", labels=("kind",), mode="mostrecent", is_ours=True)
    slots = [
        reading(
            number,
            {
                **{Series(times, (path,)): 2.0 for path in paths},
                **{Series(jobs, (path,)): 1.0 + number for path in paths},
            },
        )
        for number, paths in enumerate(["ab", "bc", "cd"])
    ]

    found = merged(*slots, times=Limit(3), jobs=Limit(2))

    sums = {values: part[-1] for values, part in found["times"].items()}
    assert sums == {("a",): 2, ("b",): 4, ("overflow",): 6}
    assert found["jobs"] == {("a",): [1], ("overflow",): [3]}


def test_counters_of_lost_operations_are_limited_too():
    jobs = Declaration(
        "gauge", "jobs", labels=("kind",), mode="livesum", is_ours=True, lost="jobs_lost"
    )
    dead = reading(0, {Series(jobs, (kind,)): 2.0 for kind in "cba"}, is_held=False)
    alive = reading(1, {Series(jobs, (kind,)): 3.0 for kind in "cda"})

    found = merged(dead, alive, jobs_lost=Limit(2))

    assert found["jobs_lost"] == {("c",): [2], ("overflow",): [4]}
    assert found["jobs"] == {("c",): [3], ("b",): [0], ("a",): [3], ("d",): [3]}


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 10})
def test_label_sets_without_a_value_are_shown_while_there_is_room():
    for number in range(9):
        METRICS.http_requests_total.labels("GET", f"/{number}", "200").inc()
    for status in ("200", "404", "500"):
        METRICS.http_requests_total.labels("GET", "/more", status)

    assert sum(name == "http_requests_total" for name, _ in samples()) == 10
