"""What a panel of the dashboard is, and the questions that panels often ask.

Units are Grafana's:
https://github.com/grafana/grafana/blob/main/packages/grafana-data/src/valueFormats/categories.ts
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["timeseries", "stat", "heatmap"]
WIDE, HALF, THIRD, SMALL = 24, 12, 8, 4


@dataclass(frozen=True)
class Query:
    """Ask Prometheus; ``legend`` names each series of the answer, by ``{{label}}``."""

    expression: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """Show the answers to some queries.

    ``width`` is of 24 columns. ``alarming_from`` is the value from which a number is red.
    """

    title: str
    description: str
    queries: tuple[Query, ...]
    unit: str = "short"
    width: int = field(default=HALF, kw_only=True)
    kind: Kind = field(default="timeseries", kw_only=True)
    is_stacked: bool = field(default=False, kw_only=True)
    highest: float | None = field(default=None, kw_only=True)
    alarming_from: float | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Row:
    """Put panels under one heading; those of a row that is not open are asked when it is."""

    title: str
    panels: tuple[Panel, ...]
    is_open: bool = field(default=False, kw_only=True)


def rate(family: str, by: str = "", legend: str = "") -> tuple[Query, ...]:
    """Return the question for a counter's rise per second, summed up to the labels of ``by``."""
    rise = f"rate({family}[$__rate_interval])"
    return (Query(f"sum by ({by}) ({rise})" if by else f"sum({rise})", legend),)


def by_instance(gauge: str) -> tuple[Query, ...]:
    """Return the question for what the processes of each instance have now."""
    return (Query(f"sum by (instance) ({gauge})", "{{instance}}"),)


def quantile(share: float, histogram: str, by: str = "", legend: str = "") -> Query:
    """Return the question for a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    rise = f"rate({histogram}_bucket[$__rate_interval])"
    expression = f"histogram_quantile({share}, sum by ({labels}) ({rise}))"
    return Query(expression, legend or f"p{share * 100:g}")


def quantiles(histogram: str) -> tuple[Query, ...]:
    """Return the questions for the three quantiles of a histogram that tell most."""
    return tuple(quantile(share, histogram) for share in (0.5, 0.95, 0.99))


def mean(histogram: str, by: str, legend: str) -> Query:
    """Return the question for the mean of a histogram's observations."""
    parts = [
        f"sum by ({by}) (rate({histogram}_{part}[$__rate_interval]))" for part in ("sum", "count")
    ]
    return Query(" / ".join(parts), legend)
