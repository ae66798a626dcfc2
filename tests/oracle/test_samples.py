"""The oracle's arithmetic, on samples whose sums anybody can make in their head."""

from __future__ import annotations

from hypothesis import given, strategies

from tests.oracle.samples import Series, counted, read, with_labels


def a_series(*values: float, **labels: str) -> Series:
    pairs = tuple((float(number), value) for number, value in enumerate(values))
    return Series(frozenset(labels.items()), pairs)


def test_a_counter_that_grows_has_grown_by_the_difference_of_its_ends():
    found = counted([a_series(40, 45, 45, 70)])

    assert (found.first, found.increase, found.total) == (40, 30, 70)
    assert found.falls == ()


def test_one_sample_is_no_increase():
    found = counted([a_series(200)])

    assert (found.first, found.increase, found.total) == (200, 0, 200)


def test_no_series_is_nothing():
    assert counted([]).total == 0


def test_a_fall_is_taken_for_a_reset():
    found = counted([a_series(10, 100, 5, 30)])

    # 90 until the fall, 5 since a start at zero, and 25.
    assert found.increase == 120
    assert [(fall.before, fall.after, fall.at) for fall in found.falls] == [(100, 5, 2)]
    assert not found.alternates


def test_a_reset_to_zero_adds_nothing_by_itself():
    found = counted([a_series(0, 100, 0, 0, 7)])

    assert found.total == 107
    assert len(found.falls) == 1


def test_a_fall_by_the_least_bit_counts_everything_again():
    found = counted([a_series(1000, 999.9999999)])

    assert found.increase == 999.9999999
    assert len(found.falls) == 1


def test_pages_of_two_processes_in_turn_alternate():
    found = counted([a_series(70, 30, 70, 30, 70)])

    assert [fall.is_taken_back for fall in found.falls] == [True, True]
    assert found.alternates
    # Of 100 that happened before the first scrape, and none since.
    assert found.total == 70 + 30 + 40 + 30 + 40


def test_the_last_sample_may_be_a_fall():
    found = counted([a_series(70, 30)])

    assert [fall.then for fall in found.falls] == [None]
    assert not found.alternates


def test_several_restarts_do_not_alternate():
    found = counted([a_series(0, 50, 100, 0, 50, 100, 0, 50, 100)])

    assert len(found.falls) == 2
    assert not found.alternates
    assert found.total == 300


def test_a_restart_that_no_scrape_came_between_is_hidden():
    # 300, restarted, 800 until the next scrape: no sample says that 300 are missing.
    assert counted([a_series(0, 300, 800)]).total == 800


def test_a_gap_in_the_scrapes_changes_no_sum():
    with_gap = Series(frozenset(), ((1, 10), (2, 20), (60, 90)))

    assert counted([with_gap]).total == 90
    assert counted([with_gap]).falls == ()


def test_a_series_that_goes_and_comes_back_goes_on():
    found = read(
        [
            {"metric": {"path": "/"}, "values": [[1, "10"], [2, "20"]]},
            {"metric": {"path": "/"}, "values": [[9, "25"]]},
        ]
    )

    assert counted(found).total == 25


def test_a_series_that_comes_back_lower_has_fallen():
    found = counted(read([{"metric": {}, "values": [[1, "20"], [9, "3"]]}]))

    assert (found.total, len(found.falls)) == (23, 1)


def test_a_series_that_went_for_good_still_counts():
    gone = a_series(1, 5, path="/old/")
    came = a_series(2, 4, path="/new/")

    assert counted([gone, came]).total == 9


def test_falls_of_several_series_are_in_order_of_time():
    late = a_series(1, 2, 1, path="/late/")
    early = a_series(2, 1, 3, path="/early/")

    assert [fall.at for fall in counted([late, early]).falls] == [1, 2]


def test_a_fall_says_which_series_fell():
    name = {"__name__": "http_requests_total", "job": "kiosk", "path": "/"}

    (fall,) = counted([a_series(5, 4, **name)]).falls

    assert str(fall) == 'http_requests_total{path="/"} 5 -> 4'


def test_series_are_chosen_by_some_of_their_labels():
    chosen = a_series(1, status="500", path="/")

    assert list(with_labels([chosen, a_series(1, status="200")], status="500")) == [chosen]


@given(strategies.lists(strategies.integers(0, 100), min_size=1), strategies.data())
def test_whichever_samples_are_missing_a_counter_without_falls_ends_at_its_last(
    steps: list[int], data: strategies.DataObject
):
    values = [sum(steps[: end + 1]) for end in range(len(steps))]
    is_seen = data.draw(
        strategies.lists(strategies.booleans(), min_size=len(steps), max_size=len(steps))
    )
    seen = [value for value, kept in zip(values, is_seen, strict=True) if kept] or values

    found = counted([a_series(*seen)])

    assert found.total == seen[-1]
    assert found.falls == ()


@given(strategies.lists(strategies.lists(strategies.integers(1, 9), min_size=1), min_size=1))
def test_resets_that_are_seen_lose_nothing(lives: list[list[int]]):
    values: list[float] = []
    for steps in lives:
        values += [0, *(sum(steps[: end + 1]) for end in range(len(steps)))]

    found = counted([a_series(*values)])

    assert found.total == sum(map(sum, lives))
    assert len(found.falls) == len(lives) - 1
