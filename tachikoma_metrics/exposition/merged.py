"""A metric family with the merged values of several processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from operator import lt

from prometheus_client import Metric
from prometheus_client.samples import Exemplar, Sample

from tachikoma_metrics.exposition.names import CREATED, WITH_CREATED, metric_name
from tachikoma_metrics.exposition.syntax import SMALLEST_WITH_EXPONENT, number
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.store import Declaration
from tachikoma_metrics.store import Exemplar as StoredExemplar
from tachikoma_metrics.store.families import Family, Line, Lines, Pairs
from tachikoma_metrics.store.layout import GAUGE, HISTOGRAM
from tachikoma_metrics.store.native_histograms import NativeHistogram, added, empty

LabelsOf = Callable[[Pairs], tuple[list[str], list[str]]]
"""Formats label pairs: those before ``le``, and those after it."""

Labels = frozenset[tuple[str, str]]
"""Names and values of the labels of a label set."""


WriteExemplar = Callable[[StoredExemplar], str]
"""Formats an exemplar, with what is between it and the value before it."""


class MergedMetric(Metric):
    """A family of prometheus_client whose samples are made only if they are read.

    ``families`` are of one name and type; there is more than one if processes disagree on labels
    or buckets, as those of two releases do during a deployment. ``extra`` are samples that are
    not in the store.
    """

    def __init__(
        self,
        declaration: Declaration,
        families: Sequence[Family],
        extra: Sequence[Sample] = (),
    ) -> None:
        self._families = families
        self.extra = extra
        self._samples: list[Sample] | None = None
        # Not by the base, which would validate each name again at each scrape.
        self.name = declaration.name
        self.documentation = declaration.help
        self.type = declaration.type
        self.unit = declaration.unit
        self._declaration = declaration
        self._natives: dict[Labels, tuple[NativeHistogram, float]] | None = None

    def native_of(self, labels: Labels) -> tuple[NativeHistogram, float] | None:
        """Return what a label set has counted in native buckets, and the sum of that.

        Return None if it does not count in any.
        """
        if self._natives is None:
            self._natives = _added_natives(self._families)
        found = self._natives.get(labels)
        if found is None and self._declaration.native is not None:
            return empty(self._declaration.native), 0.0
        return found

    @property
    def families(self) -> Sequence[Family]:
        """Return the values in the store: more than one family if processes disagree."""
        return self._families

    @property
    def only_family(self) -> Family | None:
        """Return the values in the store; None if processes disagree on the labels or buckets."""
        return self._families[0] if len(self._families) == 1 else None

    @property
    def samples(self) -> list[Sample]:
        """Return all samples, as prometheus_client does."""
        if self._samples is None:
            exemplars = _exemplars(self._families)
            stored = (
                self._sample(line, value, exemplars.get(line))
                for line, value in zip(*self._folded(), strict=True)
            )
            self._samples = [*stored, *self._created(), *self.extra]
        return self._samples

    @samples.setter
    def samples(self, samples: list[Sample]) -> None:
        if samples:
            self._samples = samples

    def _folded(self) -> tuple[Iterable[Line], Iterable[float]]:
        if len(self._families) == 1:
            return self._families[0].lines, self._families[0].values
        folded = _folded(self._families)
        return folded.keys(), folded.values()

    def _sample(self, line: Line, value: float, exemplar: Exemplar | None) -> Sample:
        return Sample(self.name + line.suffix, _labels(line), value, None, exemplar)

    def _created(self) -> Iterable[Sample]:
        """Yield since when each label set has been counted, where that is known."""
        if self.type not in WITH_CREATED:
            return
        starts: dict[Pairs, float] = {}
        for family in self._families:
            for pairs, start in zip(family.lines.pairs(), family.starts, strict=True):
                starts[pairs] = min(start, starts.get(pairs, math.inf))
        for pairs, start in starts.items():
            if start < math.inf:
                yield Sample(self.name + CREATED, dict(pairs), start)

    def quick_text(
        self,
        head: str,
        labels_of: LabelsOf,
        key: object,
        *,
        needs_sum: bool,
        write_exemplar: WriteExemplar | None = None,
    ) -> str | None:
        """Return ``head`` and the lines of the values in the store, from a cached template.

        ``labels_of`` formats label pairs, those before ``le`` and those after it, and raises
        ``ValueError`` for pairs that cannot be written; ``key`` is what ``head`` and its results
        depend on. ``needs_sum`` means that a histogram without a sum must have no count either.
        ``write_exemplar`` formats exemplars, in a format that has them.
        Returns None if the lines have to be written one by one.
        """
        family = self.only_family
        if family is None or not _is_sound(family, needs_sum):
            return None
        rendered = family.lines.rendered
        if key not in rendered:
            rendered[key] = self._template(family.lines, head, labels_of)
        template = rendered[key]
        if template is None:
            return None
        write = number if self.type == GAUGE else _total
        try:
            # Covers most numbers without a call.
            written = [
                repr(value) if 0 <= value < SMALLEST_WITH_EXPONENT else write(value)
                for value in family.values
            ]
            if write_exemplar is not None and family.exemplars is not None:
                for place, exemplar in family.exemplars.by_line.items():
                    written[place] += write_exemplar(exemplar)
            return str(template) % tuple(written)
        except ValueError as error:
            pass_on(error)
            return None

    def _template(self, lines: Lines, head: str, labels_of: LabelsOf) -> str | None:
        name = metric_name(self.name)
        endings = [
            (name + suffix, [] if bound is None else [f'le="{_bound(bound)}"'])
            for suffix, bound in lines.endings
        ]
        try:
            series = [
                f"{start}{{{','.join([*before, *le, *after])}}}" if before or le or after else start
                for before, after in map(labels_of, lines.pairs())
                for start, le in endings
            ]
        except ValueError as error:
            pass_on(error)
            return None
        return "".join(
            [head.replace("%", "%%"), *(f"{one.replace('%', '%%')} %s\n" for one in series)]
        )


def _exemplars(families: Sequence[Family]) -> dict[Line, Exemplar]:
    """Return the newest exemplar of each line that has one."""
    newest: dict[Line, StoredExemplar] = {}
    for family in families:
        found = {} if family.exemplars is None else family.exemplars.by_line
        lines = list(family.lines) if found else []
        for place, exemplar in found.items():
            line = lines[place]
            if line not in newest or newest[line].timestamp < exemplar.timestamp:
                newest[line] = exemplar
    return {
        line: Exemplar(dict(one.labels), one.value, one.timestamp) for line, one in newest.items()
    }


def _is_sound(family: Family, needs_sum: bool) -> bool:
    """Return whether the lines of a family are valid in the formats, whatever their values."""
    bounds = family.declaration.bounds
    if family.declaration.type != HISTOGRAM:
        return True
    has_sum = ("_sum", None) in family.lines.endings
    is_rising = all(map(lt, bounds, bounds[1:])) and bounds[-1:] == (math.inf,)
    return is_rising and (has_sum or not needs_sum)


def _total(value: float) -> str:
    """Format the value of a total; raise ``ValueError`` for one that cannot be a total."""
    if not value >= 0:
        raise ValueError(f"A total must be at least 0; got {value}.")
    return number(value)


def _labels(line: Line) -> dict[str, str]:
    labels = dict(line.labels)
    if line.bound is not None:
        labels["le"] = _bound(line.bound)
    return labels


_bound = lru_cache(1024)(number)


def _added_natives(families: Sequence[Family]) -> dict[Labels, tuple[NativeHistogram, float]]:
    found: dict[Labels, list[tuple[NativeHistogram, float]]] = {}
    for family in families:
        natives = family.natives
        if natives is not None:
            pairs = map(frozenset, family.lines.pairs())
            counted = zip(natives.histograms, natives.sums, strict=True)
            for labels, one in zip(pairs, counted, strict=True):
                found.setdefault(labels, []).append(one)
    return {
        labels: (added([one for one, _ in parts]), sum(total for _, total in parts))
        for labels, parts in found.items()
    }


def _folded(families: Sequence[Family]) -> dict[Line, float]:
    """Return the lines of families that differ, with the values of equal lines added up."""
    folded: dict[Line, float] = {}
    for family in families:
        for line, value in _uncumulated(family):
            is_sum = family.declaration.type != GAUGE or "sum" in family.declaration.mode
            folded[line] = (folded.get(line, 0.0) if is_sum else 0.0) + value
    if families and families[0].declaration.type == HISTOGRAM:
        return _cumulated(folded)
    return folded


def _uncumulated(family: Family) -> Iterable[tuple[Line, float]]:
    below = 0.0
    for line, value in zip(family.lines, family.values, strict=True):
        if line.bound is None:
            below = 0.0
            yield line, value
        else:
            yield line, value - below
            below = value


def _cumulated(folded: dict[Line, float]) -> dict[Line, float]:
    buckets: dict[tuple[tuple[str, str], ...], list[tuple[float, float]]] = {}
    for line, value in folded.items():
        if line.bound is not None:
            buckets.setdefault(line.labels, []).append((line.bound, value))
    cumulated: dict[Line, float] = {}
    for labels, counts in buckets.items():
        total = 0.0
        for bound, count in sorted(counts):
            total += count
            cumulated[Line("_bucket", labels, bound)] = total
        cumulated |= {line: folded[line] for line in _ends(labels) if line in folded}
    return cumulated


def _ends(labels: tuple[tuple[str, str], ...]) -> tuple[Line, Line]:
    return Line("_count", labels), Line("_sum", labels)
