"""Panels and rows of the dashboard, and queries that several panels use.

Units are Grafana's:
https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["timeseries", "stat", "heatmap", "table"]
WIDE, HALF, THIRD, SMALL = 24, 12, 8, 4

Steps = tuple[tuple[float, str], ...]
"""Thresholds, in ascending order: a value, and the colour from it on."""

Colors = tuple[tuple[str, str], ...]
"""The colours of series: a regular expression for their legend, and a colour."""

STATUS_COLORS: Colors = (("^1", "gray"), ("^2", "green"), ("^3", "blue"), ("^4", "orange"))
STATUS_COLORS += (("^5", "red"),)
OUTCOME_COLORS: Colors = (
    ("success$", "green"),
    ("retry$", "yellow"),
    ("cancelled$", "blue"),
    ("(timeout|lost)$", "orange"),
    ("(failure|error)$", "red"),
)


@dataclass(frozen=True)
class Query:
    """A query; ``legend`` names each series of the result, with ``{{label}}``.

    In a table, it is a column: ``legend`` is its title, and ``unit`` and ``steps`` its own. An
    instant query is evaluated once, at the end of the dashboard's time range.
    """

    expression: str
    legend: str = ""
    is_instant: bool = field(default=False, kw_only=True)
    unit: str = field(default="short", kw_only=True)
    steps: Steps = field(default=(), kw_only=True)


@dataclass(frozen=True)
class Panel:
    """A panel that shows the results of queries.

    ``width`` is in columns, of 24. ``lowest`` is the colour below all ``steps``.
    ``without_data`` is shown if the queries have no result.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = field(default=HALF, kw_only=True)
    kind: Kind = field(default="timeseries", kw_only=True)
    is_stacked: bool = field(default=False, kw_only=True)
    min: float | None = field(default=0, kw_only=True)
    max: float | None = field(default=None, kw_only=True)
    decimals: int | None = field(default=None, kw_only=True)
    lowest: str = field(default="green", kw_only=True)
    steps: Steps = field(default=(), kw_only=True)
    colors: Colors = field(default=(), kw_only=True)
    without_data: str = field(default="", kw_only=True)
    sorted_by: str = field(default="", kw_only=True)


@dataclass(frozen=True)
class Row:
    """A row of panels; those of a collapsed row run no queries until it is expanded."""

    title: str
    panels: tuple[Panel, ...]
    is_expanded: bool = field(default=False, kw_only=True)


def rate(counter: str, by: str = "", legend: str = "") -> tuple[Query, ...]:
    """Return the query of a counter's rate, summed by the labels ``by``."""
    rate = f"rate({counter}[$__rate_interval])"
    return (Query(f"sum by ({by}) ({rate})" if by else f"sum({rate})", legend),)


def rate_above_zero(counter: str, by: str, legend: str) -> tuple[Query, ...]:
    """Return ``rate`` without what has not happened, of a counter with label sets at zero."""
    return tuple(Query(f"{query.expression} > 0", legend) for query in rate(counter, by))


def by_instance(gauge: str) -> tuple[Query, ...]:
    """Return the query of a gauge's sum for each instance."""
    return (Query(f"sum by (instance) ({gauge})", "{{instance}}"),)


def quantile(
    share: float,
    histogram: str,
    by: str = "",
    legend: str = "",
    *,
    window: str = "$__rate_interval",
) -> Query:
    """Return the query of a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    buckets = f"rate({histogram}_bucket[{window}])"
    expression = f"histogram_quantile({share}, sum by ({labels}) ({buckets}))"
    return Query(expression, legend or f"p{share * 100:g}")


def quantiles(histogram: str) -> tuple[Query, ...]:
    """Return the queries of a histogram's p50, p95 and p99."""
    return tuple(quantile(share, histogram) for share in (0.5, 0.95, 0.99))


def top(*queries: Query) -> tuple[Query, ...]:
    """Return queries of the ten highest values of each: there may be hundreds."""
    return tuple(Query(f"topk(10, {query.expression})", query.legend) for query in queries)


def mean(histogram: str, by: str, legend: str) -> Query:
    """Return the query of the mean of a histogram's observations."""
    parts = [
        f"sum by ({by}) (rate({histogram}_{part}[$__rate_interval]))" for part in ("sum", "count")
    ]
    return Query(" / ".join(parts), legend)
