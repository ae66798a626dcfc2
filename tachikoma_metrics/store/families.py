"""A metric as it is exposed: the values of all processes together."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from tachikoma_metrics.store.layout import Declaration, Exemplar
from tachikoma_metrics.store.native_histograms import NativeHistograms


def nothing() -> None:
    """Return None: a metric has no native buckets."""


Pairs = tuple[tuple[str, str], ...]
"""Names and values of labels."""


class Line(NamedTuple):
    """One line of a metric in the exposition, without its value.

    ``suffix`` is appended to the metric's name, ``bound`` is the ``le`` of a bucket.
    """

    suffix: str
    labels: Pairs
    bound: float | None = None


Ending = tuple[str, "float | None"]
"""Suffix and bound of a line, apart from the labels of its label set."""


@dataclass(frozen=True)
class Lines:
    """The lines of a metric; the same object for as long as they stay the same.

    Each of ``label_sets``, which are values of the labels ``names``, has one line for each
    of ``endings``. ``rendered`` is a cache for what is made from the lines, whatever their
    values: by the renderers of the exposition formats, and by projections.
    """

    names: tuple[str, ...]
    label_sets: list[tuple[str, ...]]
    endings: list[Ending]
    rendered: dict[object, Any] = field(default_factory=dict, compare=False)

    def pairs(self) -> Iterator[Pairs]:
        """Yield the labels of each label set."""
        for values in self.label_sets:
            yield tuple(zip(self.names, values, strict=True))

    def __iter__(self) -> Iterator[Line]:
        for pairs in self.pairs():
            for suffix, bound in self.endings:
                yield Line(suffix, pairs, bound)


class FoundExemplars(Protocol):
    """Exemplars, which are looked for only if an exposition has them."""

    @property
    def by_line(self) -> Mapping[int, Exemplar]:
        """Return the newest exemplar of each line, by the place of the line in ``Lines``."""


@dataclass(frozen=True)
class Family:
    """One metric of all processes together: its lines, and the value of each.

    ``moved`` are the label sets that are not shown, because they were added to others.
    ``find_starts`` returns the ``starts``, or nothing, and ``find_natives`` the ``natives``: few
    formats have them. ``exemplars`` are None if no process has left any.
    """

    declaration: Declaration
    label_sets: Collection[tuple[str, ...]]
    lines: Lines
    values: Sequence[float]
    moved: Collection[tuple[str, ...]] = ()
    find_starts: Callable[[], Sequence[float]] = field(default=tuple, compare=False)
    exemplars: FoundExemplars | None = field(default=None, compare=False)
    find_natives: Callable[[], NativeHistograms | None] = field(default=nothing, compare=False)

    @property
    def natives(self) -> NativeHistograms | None:
        """Return what a histogram has counted in native buckets, if it has any."""
        return self.find_natives()

    @property
    def starts(self) -> Sequence[float]:
        """Return the Unix time at which each label set of ``lines`` was at zero; +Inf if unknown.

        It stays the same for as long as the label set is exposed.
        """
        return self.find_starts() or [math.inf] * len(self.lines.label_sets)

    def without(self, label_sets: Collection[tuple[str, ...]]) -> Family:
        """Return a gauge without some of its label sets."""
        count = len(self.declaration.labels)
        kept = {
            labels: value
            for labels, value in zip(self.lines.label_sets, self.values, strict=True)
            if labels[:count] not in label_sets
        }
        lines = Lines(self.lines.names, list(kept), self.lines.endings)
        remaining = [labels for labels in self.label_sets if labels not in label_sets]
        return Family(self.declaration, remaining, lines, list(kept.values()), self.moved)
