"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.rounds import Rounds
from benchmarks.variants import Variant


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, with the first column aligned left and the others right."""
    rule = ["---", *("---:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def ratios(
    rounds: Rounds, variant: Variant, others: Iterable[Variant], figures: Mapping[str, str]
) -> str:
    """Return a table of ``figures``, with their heads, as shares of the other variants' figures."""
    return table(
        (f"{variant.title} as a share of", *figures.values()),
        (
            (other.title, *(rounds.ratio(variant, other, figure).text() for figure in figures))
            for other in others
        ),
    )


def times(
    head: str, rounds: Rounds, variants: Iterable[Variant], figures: Mapping[str, str]
) -> str:
    """Return a table of ``figures``, with their heads, in microseconds."""
    return table(
        (head, *figures.values()),
        (
            (variant.title, *(rounds.absolute(variant, figure).text(1e6) for figure in figures))
            for variant in variants
        ),
    )


def shares(what: str, figure: str, rounds: Rounds, variants: Iterable[Variant]) -> str:
    """Return a table of ``figure`` as a share of the elapsed time of ``what``."""
    return table(
        ("", "added µs of CPU", f"µs of a {what} without metrics", "added percent"),
        (
            (
                variant.title,
                rounds.absolute(variant, figure).text(1e6),
                rounds.absolute(variant, "clock").text(1e6),
                rounds.absolute(variant, "share").text(100),
            )
            for variant in variants
        ),
    )
