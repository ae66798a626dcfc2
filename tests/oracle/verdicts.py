"""Whether what a Prometheus knows is what happened.

Where no process was killed, the figures are the same to the request. A process that is killed may
have recorded a request and not have written so in its ledger, or have been at work on one that it
never recorded. So there, each request that has ended or was answered counts, and no more than
began.

Nothing may fall: to Prometheus, a counter that falls was reset, and all it had counts once more. A
scrape that fails is a gap, which changes no sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.oracle.kiosks import Ledger
from tests.oracle.samples import Counted, Series, counted, with_labels


@dataclass(frozen=True)
class Expected:
    """A counter, and between which figures it has to be."""

    name: str
    labels: tuple[tuple[str, str], ...]
    low: float
    high: float

    @property
    def selector(self) -> str:
        """Return the counter as a query names it."""
        labels = ", ".join(f'{name}="{value}"' for name, value in self.labels)
        return f"{self.name}{{{labels}}}" if labels else self.name


def expected(ledger: Ledger, answered: int, is_killed: bool) -> Iterator[Expected]:
    """Yield what has to be in a Prometheus, by what the site and its clients wrote down."""
    ended = ledger.ended.total()
    cut_off = ledger.cut_off if is_killed else 0
    yield Expected("http_requests_total", (), max(ended, answered), ended + cut_off)
    if not is_killed:
        for status, times in sorted(ledger.ended.items()):
            yield Expected("http_requests_total", (("status", status),), times, times)
    if ledger.sold:
        sold = ledger.sold.total()
        yield Expected("kiosk_sales_total", (), sold, sold + cut_off)


@dataclass(frozen=True)
class Row:
    """A line of the table: one counter of a site, as one Prometheus knows it."""

    scenario: str
    prometheus: str
    expected: Expected
    counted: Counted

    @property
    def difference(self) -> float:
        """Return how much Prometheus has too much, or, below zero, too little."""
        total = self.counted.total
        return total - min(max(total, self.expected.low), self.expected.high)

    @property
    def is_right(self) -> bool:
        """Tell whether the figure is what happened, and never fell on the way."""
        return self.difference == 0 and not self.counted.falls

    @property
    def verdict(self) -> str:
        """Say what is wrong, or that nothing is."""
        if self.is_right:
            return "right"
        if not self.counted.falls:
            return "WRONG"
        return "WRONG, alternates" if self.counted.alternates else "WRONG, falls"


def rows(
    scenario: str, prometheus: str, wanted: Iterable[Expected], series: list[Series]
) -> Iterator[Row]:
    """Yield a row for each counter that is expected."""
    for one in wanted:
        chosen = with_labels(series, __name__=one.name, **dict(one.labels))
        yield Row(scenario, prometheus, one, counted(chosen))


def other_falls(series: Iterable[Series], wanted: Iterable[Expected]) -> list[str]:
    """Return the falls of all counters that no row is about."""
    names = {one.name for one in wanted}
    others = [one for one in series if dict(one.labels)["__name__"] not in names]
    return [str(fall) for fall in counted(others).falls]


def table(found: Iterable[Row]) -> str:
    """Return the rows as text, in columns; parts of a counter only where they are wrong."""
    shown = [row for row in found if not (row.expected.labels and row.is_right)]
    head = (
        *("scenario", "counter", "ledger", "Prometheus", "first", "increase"),
        *("counted", "difference", "falls", "verdict"),
    )
    lines = [head, *map(_cells, shown)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _cells(row: Row) -> tuple[str, ...]:
    low, high = row.expected.low, row.expected.high
    return (
        row.scenario,
        row.expected.selector,
        f"{low:g}" if low == high else f"{low:g} to {high:g}",
        row.prometheus,
        f"{row.counted.first:g}",
        f"{row.counted.increase:g}",
        f"{row.counted.total:g}",
        f"{row.difference:+g}" if row.difference else "0",
        str(len(row.counted.falls)),
        row.verdict,
    )
