from __future__ import annotations

import math
from typing import Any

import pytest

from tachikoma_metrics.live.history import ROUTES, ROWS, STEP_SECONDS, History
from tachikoma_metrics.live.report import plots, report, sparklines
from tachikoma_metrics.live.totals import Totals, quantile

BOUNDS = [0.1, 1.0]


def totals(at: float, requests: float, path: str = "/a/", **more: object) -> Totals:
    """Return the totals after so many requests of 50 ms, of which every tenth failed."""
    return Totals(
        at,
        requests={f"GET {path} 2xx": requests * 0.9, f"GET {path} 5xx": requests * 0.1},
        routes={f"GET {path}": [requests, requests * 0.05, requests, requests, requests]},
        cache={"hits": 0.0, "misses": 0.0},
        bounds={"routes": BOUNDS},
        **more,  # type: ignore[arg-type]
    )


def noted(*series: Totals) -> History:
    history = History()
    before = None
    for one in series:
        history.add(one, before)
        before = one
    return history


def test_a_step_has_the_rates_of_what_happened_in_it():
    history = noted(totals(100, 0), totals(105, 50))

    columns = plots(history, 0)["columns"]
    assert columns["2xx"] == [9.0]
    assert columns["5xx"] == [1.0]
    assert columns["errors"] == [0.1]
    assert columns["busy"] == [0.5]
    assert columns["p50"] == [0.05]


def test_a_step_without_requests_has_no_latency_and_no_error_share():
    columns = plots(noted(totals(100, 50), totals(105, 50)), 0)["columns"]

    assert columns["2xx"] == [0.0]
    assert columns["p95"] == [None]
    assert columns["errors"] == [None]


def test_a_label_set_that_the_store_drops_is_no_other_service():
    before, dropped = totals(100, 50), totals(105, 60)
    before.requests |= {"GET /old/ 2xx": 900.0, "GET /a/ 4xx": 7.0}
    # Of 400 and 404 one label set is left.
    dropped.requests["GET /a/ 4xx"] = 2.0
    before.database, dropped.database = {"": [900.0, 90.0, 900.0]}, {"": [30.0, 3.0, 30.0]}
    before.cache["hits"] = 50.0
    history = noted(totals(95, 40), before, dropped, totals(110, 70))

    columns = plots(history, 0)["columns"]
    assert columns["2xx"][1:] == [1.8, 1.8]
    assert columns["4xx"][1:] == [0.0, 0.0]
    assert columns["database"][1] == 0.0
    assert columns["hits"][1] is None
    assert report(dropped, [], history, 60)["service"]["statuses"]["2xx"] == 18


def test_totals_that_all_fell_are_another_services():
    assert not totals(105, 20).follows(totals(100, 50))
    assert not totals(105, 0, "/b/").follows(totals(100, 50))
    assert not Totals(105).follows(totals(100, 50))
    assert totals(105, 20).follows(Totals(100))


def test_buckets_that_change_cost_a_step_its_quantiles_alone():
    now = totals(105, 60)
    now.routes = {"GET /a/": [60.0, 4.0, 60.0, 60.0]}

    columns = plots(noted(totals(100, 50), now), 0)["columns"]
    assert columns["busy"] == [0.3]
    assert columns["p95"] == [None]


def test_a_time_without_steps_is_a_gap():
    history = noted(totals(100, 0), totals(105, 5), totals(165, 500), totals(170, 505))

    found = plots(history, 0)
    assert found["times"] == [105, 110, 170]
    assert found["columns"]["2xx"] == [0.9, None, 0.9]


def test_only_the_rows_since_then_are_returned():
    history = noted(totals(100, 0), totals(105, 5), totals(110, 10))

    assert plots(history, 105)["times"] == [110]
    assert plots(history, 110)["times"] == []


def test_half_an_hour_is_kept():
    history = noted(*(totals(at * STEP_SECONDS, at) for at in range(ROWS + 50)))

    assert len(history.times) == ROWS
    assert {len(column) for column in history.columns.values()} == {ROWS}
    assert history.times[-1] - history.times[0] == (ROWS - 1) * STEP_SECONDS


def test_totals_that_fall_begin_a_new_history():
    history = noted(totals(100, 0), totals(105, 50), totals(110, 3))

    assert not history.times
    assert [one.at for one in history.kept] == [110]


def test_a_clock_that_is_set_back_a_little_is_waited_for():
    history = noted(totals(100, 0), totals(105, 5))

    assert not history.add(totals(104, 10), totals(105, 5))
    assert history.add(totals(110, 10), totals(105, 5))
    assert plots(history, 0)["times"] == [105, 110]


def test_a_clock_that_is_set_back_by_hours_begins_a_new_history():
    history = noted(totals(10_000, 0), totals(10_005, 5), totals(105, 10), totals(110, 15))

    assert plots(history, 0)["times"] == [110]


def test_only_the_busiest_routes_have_a_column():
    history = History()
    before = None
    for step in range(3):
        one = Totals(
            step * STEP_SECONDS,
            routes={
                f"GET /{number}/": [step, float(step * number), step, step, step]
                for number in range(1, ROUTES + 20)
            },
            bounds={"routes": BOUNDS},
            cache={"hits": 0.0, "misses": 0.0},
        )
        history.add(one, before)
        before = one

    assert len(sparklines(history)) == ROUTES
    assert f"GET /{ROUTES + 19}/" in sparklines(history)


def test_a_file_has_all_of_the_history():
    history = noted(*(totals(at * STEP_SECONDS, at, exceptions={"E": at}) for at in range(80)))

    found = History.from_bytes(history.to_bytes())
    assert plots(found, 0) == plots(history, 0)
    assert found.exceptions == history.exceptions == {"E": 79 * STEP_SECONDS}
    assert [one.at for one in found.kept] == [one.at for one in history.kept]
    assert found.last is not None
    assert found.last.totals == totals(79 * STEP_SECONDS, 79, exceptions={"E": 79})


@pytest.mark.parametrize("damage", [b"", b"another file", b"tachikoma-history-1\n00000000\n{}"])
def test_a_damaged_file_is_an_empty_history(damage: bytes):
    assert History.from_bytes(damage) == History()


def test_a_torn_file_is_an_empty_history():
    content = noted(totals(100, 0), totals(105, 5)).to_bytes()

    assert History.from_bytes(content[:-1]) == History()


def test_the_report_is_of_the_window():
    history = noted(*(totals(at * 5.0, at * 10) for at in range(200)))
    now = totals(199 * 5.0, 1990)

    for window, least in ((60, 55), (300, 295), (300, 295)):
        found = report(now, [], history, window)
        assert least <= found["seconds"] <= window + 30
        assert found["service"]["requests"] == pytest.approx(found["seconds"] * 2)
        (route,) = found["routes"]
        name, number, p95, failed, queries, seconds = route
        assert (name, queries) == ("GET /a/", None)
        assert number == pytest.approx(found["seconds"] * 2)
        assert failed == pytest.approx(number / 10)
        assert p95 == pytest.approx(0.095)
        assert seconds == pytest.approx(number * 0.05)


def test_without_a_history_the_report_is_of_no_time():
    found = report(totals(100, 50), [], History(), 60)

    assert found["seconds"] == 0
    assert found["service"]["requests"] == 0
    assert found["routes"] == []


@pytest.mark.parametrize(
    ("database", "tasks", "expected"),
    [
        (0.0, 0.0, 0.0),
        (0.5, 0.0, 0.2),
        # Tasks make queries, too, during which no request waits.
        (2.5, 2.5, 0.5),
        # Neither a request nor a task made these, but for example a viewer of the page.
        (9.0, 0.0, None),
    ],
)
def test_the_share_of_the_database_is_of_the_time_of_requests_and_tasks(
    database: float, tasks: float, expected: float | None
):
    history = noted(totals(100, 0))
    more: dict[str, Any] = {"database": {"": [9.0, database]}, "tasks": {"task": [1.0, tasks]}}

    found = report(totals(160, 50, **more), [], history, 60)
    assert found["service"]["databaseShare"] == (
        None if expected is None else pytest.approx(expected)
    )


def test_without_requests_the_database_has_no_share():
    history = noted(totals(100, 50))

    found = report(totals(160, 50, database={"": [9.0, 1.0]}), [], history, 60)
    assert found["service"]["databaseShare"] is None


def test_all_routes_are_counted_though_not_all_are_shown():
    many = {f"GET /{number}/": [1.0, 1.0] for number in range(800)}
    found = report(Totals(160, routes=many), [], noted(Totals(100)), 60)

    assert len(found["routes"]) == 300
    assert found["routeCount"] == 800


@pytest.mark.parametrize(
    ("share", "counts", "expected"),
    [
        (0.5, [0, 0, 0], None),
        (0.5, [10, 10, 10], 0.05),
        (0.5, [0, 10, 10], 0.55),
        (0.95, [0, 0, 10], 1.0),
        (1.0, [5, 10, 10], 1.0),
    ],
)
def test_a_quantile_is_what_promql_computes(
    share: float, counts: list[float], expected: float | None
):
    found = quantile(share, [counts[-1], 1.0, *map(float, counts)], BOUNDS)

    assert found == (None if expected is None else pytest.approx(expected))


def test_rows_are_no_numbers_that_json_lacks():
    for column in plots(noted(totals(0, 0), totals(5, 0)), 0)["columns"].values():
        assert not any(value is not None and math.isnan(value) for value in column)
