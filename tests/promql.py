"""PromQL read by a parser of its own: which series an expression asks for, and which labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser

Found = tuple[str, frozenset[str]]


def series(expression: str) -> list[Found]:
    """Return the name of each series that is asked for, and the labels asked of it.

    Those are the labels of its matchers, and those that aggregations round it list. Raises
    ``ValueError`` for what is no PromQL.
    """
    # Grafana's variables stand where PromQL has a duration.
    durations = expression.replace("$__rate_interval", "5m").replace("$__range", "1h")
    parsed = promql_parser.parse(durations)
    return list(_series(parsed, frozenset()))


def _series(part: Any, listed: frozenset[str]) -> Iterator[Found]:
    if isinstance(part, promql_parser.VectorSelector):
        matched = {matcher.name for matcher in part.matchers.matchers}
        yield part.name or "", listed | matched - {"__name__"}
        return
    if isinstance(part, promql_parser.AggregateExpr) and part.modifier is not None:
        listed |= frozenset(part.modifier.labels)
    for name in ("lhs", "rhs", "expr", "vector_selector", "args"):
        below = getattr(part, name, None)
        for one in below if isinstance(below, list) else [below]:
            if one is not None:
                yield from _series(one, listed)
