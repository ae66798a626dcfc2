"""Values under other labels: label sets that become equal are added up."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from math import fsum
from operator import itemgetter

from tachikoma_metrics.exposition import MergedMetric
from tachikoma_metrics.store import Declaration, Exemplar, Family, Lines
from tachikoma_metrics.store.families import Ending, FoundExemplars, nothing
from tachikoma_metrics.store.layout import GAUGE
from tachikoma_metrics.store.merge.totals import endings
from tachikoma_metrics.store.native_histograms import NativeHistograms, added

Values = tuple[str, ...]
"""Of the labels of a label set."""

Rename = Callable[[Values], "Values | None"]
"""Takes the values of a label set; returns those of another, None to leave it out."""


class Projection:
    """Turn the values of a metric into those of another, ``declaration``.

    ``renaming`` takes the names of the source's labels, and returns what finds the label set under
    which another one is counted; ``needed`` are the labels that it reads. Of a histogram, the
    bounds in the declaration are kept.
    """

    def __init__(
        self,
        declaration: Declaration,
        renaming: Callable[[tuple[str, ...]], Rename],
        needed: Iterable[str],
    ) -> None:
        self.declaration = declaration
        self._renaming = lru_cache(4)(renaming)
        self._needed = frozenset(needed)

    def accepts(self, family: Family) -> bool:
        """Return whether a metric has the labels that are needed."""
        return self._needed.issubset(family.lines.names)

    def of(self, family: Family) -> Family:
        """Return the values of ``family`` under the other labels."""
        cache = family.lines.rendered
        plan = cache.get(self)
        if plan is None:
            rename = self._renaming(family.lines.names)
            plan = cache[self] = _Plan(self.declaration, family.lines, rename)
        names = family.declaration.labels
        moved = [self.label_set(names, values) for values in family.moved]
        return Family(
            self.declaration,
            plan.lines.label_sets,
            plan.lines,
            plan.values(family.values),
            [values for values in moved if values is not None],
            partial(plan.starts, family),
            family.exemplars and ProjectedExemplars(family.exemplars, plan.targets),
            partial(plan.natives, family) if self.declaration.native else nothing,
        )

    def label_set(self, names: tuple[str, ...], values: Values) -> Values | None:
        """Return the label set under which another one is counted."""
        return self._renaming(names)(values)


def as_metric(
    declaration: Declaration,
    families: Sequence[Family],
    missing: Collection[Values] = (),
) -> MergedMetric:
    """Return a metric in which the label sets that are ``missing`` are zero.

    A metric without labels is never without a value.
    """
    if not declaration.labels and not any(one.label_sets for one in families):
        missing = [()]
    extra = MergedMetric(declaration, [_zeros(declaration, missing)]).samples if missing else ()
    return MergedMetric(declaration, families, extra)


def _zeros(declaration: Declaration, label_sets: Collection[Values]) -> Family:
    suffixes: list[Ending] = [("", None)]
    if declaration.type != GAUGE:
        suffixes = list(endings(declaration))
    lines = Lines(declaration.labels, list(label_sets), suffixes)
    return Family(declaration, lines.label_sets, lines, [0.0] * len(suffixes) * len(label_sets))


class ProjectedExemplars:
    """Find the exemplars under the other labels, if they are asked for.

    ``targets`` returns the line of each line of the source.
    """

    def __init__(self, source: FoundExemplars, targets: Callable[[], Mapping[int, int]]) -> None:
        self._source = source
        self._targets = targets

    @cached_property
    def by_line(self) -> Mapping[int, Exemplar]:
        """Return the newest exemplar of each line, by the place of the line."""
        newest: dict[int, Exemplar] = {}
        found = self._source.by_line
        targets = self._targets() if found else {}
        for place, exemplar in found.items():
            line = targets.get(place)
            if line is not None and (
                line not in newest or newest[line].timestamp < exemplar.timestamp
            ):
                newest[line] = exemplar
        return newest


class _Plan:
    """Hold which values are added up in each line, for as long as the lines stay the same."""

    def __init__(self, declaration: Declaration, source: Lines, rename: Rename) -> None:
        bounds = frozenset(declaration.bounds)
        kept = [
            (place, ending)
            for place, ending in enumerate(source.endings)
            if ending[1] is None or ending[1] in bounds
        ]
        firsts = _firsts(source, rename)
        self._firsts = firsts
        self._source_endings = source.endings
        self.lines = Lines(declaration.labels, list(firsts), [ending for _, ending in kept])
        width = len(source.endings)
        self._sources = [[first // width for first in added] for added in firsts.values()]
        self._starts: tuple[Sequence[float], list[float]] | None = None
        self._slices: list[tuple[int, int]] = []
        places = [place for place, _ in kept]
        if all(len(added) == 1 for added in firsts.values()):
            picked = [first + place for [first] in firsts.values() for place in places]
        else:
            rows = [[one + place for one in added] for added in firsts.values() for place in places]
            self._slices = _slices(rows)
            picked = [index for row in rows for index in row]
        # With fewer than two indexes it would return no tuple.
        self._pick = itemgetter(*picked, picked[0], picked[0]) if picked else None

    def values(self, values: Sequence[float]) -> list[float]:
        """Return the values of all lines."""
        if self._pick is None:
            return []
        picked = self._pick(values)
        if not self._slices:
            return list(picked[:-2])
        # Whatever the order of the label sets, a sum is the same; a total that falls by its last
        # bit would be a counter reset to Prometheus.
        return [fsum(picked[start:end]) for start, end in self._slices]

    def targets(self) -> dict[int, int]:
        """Return the line in which each line of the source is counted."""
        places = {ending: place for place, ending in enumerate(self.lines.endings)}
        kept: dict[int, int] = {}
        following: int | None = None
        # What was in a bucket that is left out is in the next greater one.
        for place, ending in reversed(list(enumerate(self._source_endings))):
            following = places.get(ending, following if ending[1] is not None else None)
            if following is not None:
                kept[place] = following
        return {
            first + place: number * len(places) + line
            for number, added in enumerate(self._firsts.values())
            for first in added
            for place, line in kept.items()
        }

    def starts(self, source: Family) -> Sequence[float]:
        """Return the earliest start of what is added up in each label set."""
        found = source.starts
        if self._starts is None or self._starts[0] is not found:
            earliest = [min(found[number] for number in added) for added in self._sources]
            self._starts = (found, earliest)
        return self._starts[1]

    def natives(self, source: Family) -> NativeHistograms | None:
        """Return what is added up in each label set of a histogram."""
        found = source.natives
        if found is None:
            return None
        return NativeHistograms(
            [added([found.histograms[number] for number in each]) for each in self._sources],
            [fsum(found.sums[number] for number in each) for each in self._sources],
        )


def _firsts(source: Lines, rename: Rename) -> dict[Values, list[int]]:
    """Return the places of the first values that each label set adds up."""
    width = len(source.endings)
    firsts: dict[Values, list[int]] = {}
    for number, values in enumerate(source.label_sets):
        target = rename(values)
        if target is not None:
            firsts.setdefault(target, []).append(number * width)
    return firsts


def _slices(rows: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    ends = [0]
    for row in rows:
        ends.append(ends[-1] + len(row))
    return list(pairwise(ends))
