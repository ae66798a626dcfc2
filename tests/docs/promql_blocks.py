"""Blocks of PromQL: expressions with an empty line or a comment between them."""

from __future__ import annotations

from collections.abc import Iterator

from sybil import Example

from tests.docs.names import faults_of_query


def evaluate(example: Example) -> None:
    """Parse each expression, and look its metrics and labels up."""
    queries = list(expressions(example.parsed))

    assert queries != []
    assert {query: faults for query in queries if (faults := faults_of_query(query))} == {}


def expressions(text: str) -> Iterator[str]:
    """Yield the expressions of a block."""
    lines: list[str] = []
    for line in [*text.splitlines(), ""]:
        if line.strip() and not line.startswith("#"):
            lines.append(line)
        elif lines:
            yield "\n".join(lines)
            lines.clear()
