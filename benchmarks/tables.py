"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from benchmarks.peers import Peer
from benchmarks.rounds import Rounds


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, its first column to the left and the others to the right."""
    rule = ["---", *("---:" for _ in heads[1:])]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def ratios(rounds: Rounds, ours: Peer, others: Iterable[Peer], figures: Mapping[str, str]) -> str:
    """Return a table of ``figures``, named with their heads, as shares of those of others."""
    return table(
        (f"{ours.title} as a share of", *figures.values()),
        (
            (other.title, *(rounds.ratio(ours, other, figure).text() for figure in figures))
            for other in others
        ),
    )


def times(head: str, rounds: Rounds, peers: Iterable[Peer], figures: Mapping[str, str]) -> str:
    """Return a table of ``figures``, named with their heads, in microseconds."""
    return table(
        (head, *figures.values()),
        (
            (peer.title, *(rounds.absolute(peer, figure).text(1e6) for figure in figures))
            for peer in peers
        ),
    )


def shares(what: str, figure: str, rounds: Rounds, peers: Iterable[Peer]) -> str:
    """Return a table of what ``figure`` adds to the time, by the clock, of ``what``."""
    return table(
        ("", "µs of CPU more", f"µs of a {what} without metrics", "percent more"),
        (
            (
                peer.title,
                rounds.absolute(peer, figure).text(1e6),
                rounds.absolute(peer, "clock").text(1e6),
                rounds.absolute(peer, "share").text(100),
            )
            for peer in peers
        ),
    )
