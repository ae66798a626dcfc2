"""The figures of several rounds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from benchmarks.variants import Variant

Figures = Mapping[str, float]
"""The results of one measurement, by name."""


@dataclass(frozen=True)
class Spread:
    """The median, the minimum and the maximum of values."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread:
        """Return the spread of ``values``, of which there is at lowest one."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    def text(self, scale: float = 1) -> str:
        """Return ``median (lowest to highest)``, each multiplied by ``scale``."""
        median, lowest, highest = (
            _figure(value * scale) for value in (self.median, self.lowest, self.highest)
        )
        return f"{median} ({lowest}–{highest})"  # noqa: RUF001  # A range, as printed.


def _figure(value: float) -> str:
    if math.isinf(value):
        return "∞"
    digits = 3 if abs(value) < 0.0995 else 2 if abs(value) < 9.95 else 1 if abs(value) < 99.5 else 0
    return f"{value:.{digits}f}"


class Rounds:
    """The figures of each variant in each round."""

    def __init__(self) -> None:
        self._rounds: list[dict[Variant, Figures]] = []

    @classmethod
    def run(
        cls, number: int, variants: Sequence[Variant], measure: Callable[[Variant], Figures]
    ) -> Rounds:
        """Measure the variants alternately; every other round in the opposite order."""
        rounds = cls()
        for place in range(number):
            order = variants if place % 2 == 0 else list(reversed(variants))
            rounds.add({variant: measure(variant) for variant in order})
        return rounds

    def add(self, figures: dict[Variant, Figures]) -> None:
        """Add a round."""
        self._rounds.append(figures)

    def absolute(self, variant: Variant, figure: str) -> Spread:
        """Return the spread of one figure of one variant."""
        return Spread.of(figures[variant][figure] for figures in self._rounds)

    def ratio(self, variant: Variant, other: Variant, figure: str) -> Spread:
        """Return the spread of ``variant``'s figure as a share of ``other``'s, within a round."""
        return Spread.of(
            _share(figures[variant][figure], figures[other][figure]) for figures in self._rounds
        )


def _share(part: float, whole: float) -> float:
    # A value below zero is noise: the overhead is too small to be measured.
    return part / whole if whole > 0 else math.inf
