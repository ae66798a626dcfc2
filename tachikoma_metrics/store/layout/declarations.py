"""Declarations of metrics, and the label sets of a metric, as the files name them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from tachikoma_metrics.store.layout.native import BLOCK, BLOCK_SIZE, Native, is_known

COUNTER, GAUGE, HISTOGRAM, SUMMARY = "counter", "gauge", "histogram", "summary"

LIVESUM_OF_SET = "livesum-of-set"
"""A mode that prometheus_client does not have: the sum over the live processes that set the gauge,
and no sample if none did."""

MODES = frozenset(
    {
        "",
        *("all", "min", "max", "sum", "mostrecent"),
        *("liveall", "livemin", "livemax", "livesum", "livemostrecent"),
        LIVESUM_OF_SET,
    }
)
"""How the gauges of several processes may be merged (see ``gauges``)."""

# Places in a gauge's record.
VALUE, SET_AT, WAS_CHANGED, LEFT_VALUE, LEFT_SET_AT = range(5)
GAUGE_WIDTH = 5


_BLOCK_LABEL = "\0"
"""The name of the label that blocks have besides those of the histogram; no metric has it."""


@dataclass(frozen=True)
class Declaration:
    """Identify a metric, and say how the values of processes are merged.

    ``name`` is prometheus_client's: a counter's is without ``_total``. ``bounds`` are
    a histogram's upper bounds with ``+Inf``; ``mode`` is a gauge's multi-process mode
    or "" (see ``gauges``). ``is_builtin`` distinguishes a metric of the catalogue from one of the
    project with the same name. ``lost`` is the name of the counter to which a gauge's value is
    added when its process dies, or "". ``native`` is what native buckets a histogram has, if any:
    with others, it is another metric. The counts in them are in records of ``blocks``.
    """

    type: str
    name: str
    help: str = field(default="", compare=False)
    unit: str = field(default="", compare=False)
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    mode: str = ""
    is_builtin: bool = False
    lost: str = ""
    native: Native | None = None

    @cached_property
    def counter_of_lost(self) -> Declaration:
        """Return the counter that ``lost`` names."""
        return Declaration(COUNTER, self.lost, labels=self.labels, is_builtin=self.is_builtin)

    @cached_property
    def blocks(self) -> Declaration:
        """Return the declaration of a histogram's blocks of native buckets."""
        return replace(self, type=BLOCK, labels=(*self.labels, _BLOCK_LABEL))

    @cached_property
    def histogram(self) -> Declaration:
        """Return the histogram that these ``blocks`` belong to."""
        return replace(self, type=HISTOGRAM, labels=self.labels[:-1])

    @cached_property
    def width(self) -> int:
        """Return the number of doubles, or of a block's integers, in the record of a label set.

        A counter has its total, a summary its count and sum, a histogram its sum and the count of
        each bucket, not cumulated.
        """
        widths = {COUNTER: 1, SUMMARY: 2, GAUGE: GAUGE_WIDTH, HISTOGRAM: 1 + len(self.bounds)}
        widths[BLOCK] = BLOCK_SIZE
        return widths[self.type]

    @cached_property
    def _hash(self) -> int:
        return hash((self.type, self.name, self.labels, self.mode, self.is_builtin))

    def __hash__(self) -> int:
        return self._hash


class Series(NamedTuple):
    """One label set of a metric."""

    declaration: Declaration
    labels: tuple[str, ...]

    @property
    def whole(self) -> Series:
        """Return the label set of the histogram of which this is a block; otherwise itself."""
        if self.declaration.type != BLOCK:
            return self
        return Series(self.declaration.histogram, self.labels[:-1])


def problem_with(declaration: Declaration) -> str:
    """Return what is wrong with a declaration, as the end of a sentence; "" if nothing is."""
    type_, bounds = declaration.type, declaration.bounds
    is_histogram = type_ in (HISTOGRAM, BLOCK)
    if type_ not in (COUNTER, GAUGE, SUMMARY) and not is_histogram:
        return "be of a known type"
    if not all((declaration.name, *declaration.labels)):
        return "have names"
    if len(set(declaration.labels)) < len(declaration.labels):
        return "have labels of different names"
    # NaN is neither less nor greater than anything; prometheus_client accepts a bound twice.
    is_rising = all(low <= high for low, high in pairwise(bounds))
    if is_histogram and not (is_rising and bounds[-1:] == (math.inf,)):
        return "have bounds that rise to +Inf"
    if (not is_histogram and bounds) or (type_ != GAUGE and declaration.mode):
        return "have what its type has"
    if declaration.mode not in MODES:
        return "have a known mode"
    return _problem_with_native(declaration)


def _problem_with_native(declaration: Declaration) -> str:
    native = declaration.native
    if native is None:
        return "have native buckets" if declaration.type == BLOCK else ""
    if declaration.type not in (HISTOGRAM, BLOCK):
        return "be a histogram"
    return "" if is_known(native) else "have native buckets of a known schema"
