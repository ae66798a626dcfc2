"""The oracle's judgement, of ledgers and samples that are made up."""

from __future__ import annotations

from tests.oracle.kiosks import Ledger, read_ledger
from tests.oracle.samples import Series
from tests.oracle.verdicts import Expected, Row, expected, other_falls, rows, table

LEDGER = read_ledger(
    "begun /\nbegun /broken/\nended 200\nbegun /paper/daily/\nsold daily\nended 500\nended 200\n"
)
KILLED = read_ledger("begun /\nended 200\nbegun /\nbegun /paper/daily/\nsold daily\n")


def a_series(*values: float, **labels: str) -> Series:
    pairs = tuple((float(number), value) for number, value in enumerate(values))
    return Series(frozenset(labels.items()), pairs)


def judged(ledger: Ledger, answered: int, *values: float, is_killed: bool = False) -> Row:
    """Return the row of all requests, of which a Prometheus has these samples."""
    wanted = expected(ledger, answered, is_killed)
    series = [a_series(*values, __name__="http_requests_total", status="200")]
    return next(rows("any", "prometheus", wanted, series))


def bounds(ledger: Ledger, answered: int, is_killed: bool) -> dict[str, tuple[float, float]]:
    return {one.selector: (one.low, one.high) for one in expected(ledger, answered, is_killed)}


def test_where_nothing_is_killed_the_ledger_is_the_figure():
    assert bounds(LEDGER, 3, is_killed=False) == {
        "http_requests_total": (3, 3),
        'http_requests_total{status="200"}': (2, 2),
        'http_requests_total{status="500"}': (1, 1),
        "kiosk_sales_total": (1, 1),
    }


def test_a_request_that_was_cut_off_may_have_been_recorded_or_not():
    assert bounds(KILLED, 1, is_killed=True) == {
        "http_requests_total": (1, 3),
        "kiosk_sales_total": (1, 3),
    }


def test_what_a_client_had_an_answer_to_has_to_be_counted():
    # The process was killed between the answer and the line that says so.
    assert bounds(KILLED, 2, is_killed=True)["http_requests_total"] == (2, 3)


def test_a_figure_to_the_request_is_right():
    row = judged(LEDGER, 3, 1, 3)

    assert (row.difference, row.verdict) == (0, "right")


def test_a_request_too_few_is_wrong():
    row = judged(LEDGER, 3, 1, 2)

    assert (row.difference, row.verdict) == (-1, "WRONG")


def test_a_request_too_many_is_wrong():
    row = judged(LEDGER, 3, 1, 4)

    assert (row.difference, row.verdict) == (1, "WRONG")


def test_beyond_the_tolerance_is_wrong_by_what_is_beyond():
    assert judged(KILLED, 1, 1, 3, is_killed=True).is_right
    assert judged(KILLED, 1, 1, 4, is_killed=True).difference == 1
    assert judged(KILLED, 1, 0, is_killed=True).difference == -1


def test_a_fall_is_wrong_though_the_sum_is_right():
    row = judged(LEDGER, 3, 2, 1)

    assert (row.difference, row.verdict) == (0, "WRONG, falls")


def test_a_page_of_one_process_in_turn_with_that_of_another_is_called_so():
    assert judged(LEDGER, 3, 2, 1, 2).verdict == "WRONG, alternates"


def test_a_counter_that_no_prometheus_has_is_wrong():
    (row,) = rows("any", "prometheus", [Expected("kiosk_sales_total", (), 1, 1)], [])

    assert (row.difference, row.verdict) == (-1, "WRONG")


def test_a_fall_of_any_other_counter_is_told_of():
    wanted = [Expected("http_requests_total", (), 1, 1)]
    falls = a_series(2, 1, __name__="process_cpu_seconds_total")
    is_in_a_row = a_series(2, 1, __name__="http_requests_total")

    assert other_falls([falls, is_in_a_row], wanted) == ["process_cpu_seconds_total{} 2 -> 1"]


def test_the_table_has_parts_of_a_counter_where_they_are_wrong_alone():
    wanted = list(expected(LEDGER, 3, is_killed=False))
    series = [
        a_series(2, __name__="http_requests_total", status="200"),
        a_series(2, __name__="http_requests_total", status="500"),
        a_series(1, __name__="kiosk_sales_total"),
    ]

    lines = table(rows("any", "prometheus", wanted, series)).splitlines()

    assert lines[0].split()[:4] == ["scenario", "counter", "ledger", "Prometheus"]
    assert [line.split()[1] for line in lines[1:]] == [
        "http_requests_total",
        'http_requests_total{status="500"}',
        "kiosk_sales_total",
    ]
