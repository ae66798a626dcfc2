"""Figures of several rounds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.peers import Peer

Figures = Mapping[str, float]
"""What one measurement found, by name."""


@dataclass(frozen=True)
class Spread:
    """Tell the median of some values, the least and the greatest of them."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of ``values``, of which there is at least one."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def text(self, scale: float = 1) -> str:
        """Return it as ``median (least to greatest)``, multiplied by ``scale``."""
        median, least, greatest = (
            _figure(value * scale) for value in (self.median, self.least, self.greatest)
        )
        return f"{median} ({least}–{greatest})"  # noqa: RUF001  # A range, as printed.


def _figure(value: float) -> str:
    if math.isinf(value):
        return "∞"
    digits = 3 if abs(value) < 0.0995 else 2 if abs(value) < 9.95 else 1 if abs(value) < 99.5 else 0
    return f"{value:.{digits}f}"


class Rounds:
    """Hold the figures of each peer, round by round."""

    def __init__(self) -> None:
        self._rounds: list[dict[Peer, Figures]] = []

    @classmethod
    def run(cls, number: int, peers: Sequence[Peer], measure: Callable[[Peer], Figures]) -> Rounds:
        """Measure the peers by turns; every other round in the opposite order."""
        rounds = cls()
        for place in range(number):
            order = peers if place % 2 == 0 else list(reversed(peers))
            rounds.add({peer: measure(peer) for peer in order})
        return rounds

    def add(self, figures: dict[Peer, Figures]) -> None:
        """Add a round."""
        self._rounds.append(figures)

    def absolute(self, peer: Peer, figure: str) -> Spread:
        """Return the spread of one figure of one peer."""
        return Spread.of(figures[peer][figure] for figures in self._rounds)

    def ratio(self, peer: Peer, other: Peer, figure: str) -> Spread:
        """Return the spread of ``peer``'s figure as a share of ``other``'s, within a round."""
        return Spread.of(
            _share(figures[peer][figure], figures[other][figure]) for figures in self._rounds
        )


def _share(part: float, whole: float) -> float:
    # What is below zero is noise about something too small to be measured.
    return part / whole if whole > 0 else math.inf
