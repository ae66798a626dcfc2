"""Declarations of metrics, and the label sets of a metric, as the files name them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

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


@dataclass(frozen=True)
class Declaration:
    """Identify a metric, and say how the values of processes are merged.

    ``name`` is prometheus_client's: a counter's is without ``_total``. ``bounds`` are
    a histogram's upper bounds with ``+Inf``; ``mode`` is a gauge's multi-process mode
    or "" (see ``gauges``). ``is_ours`` distinguishes a metric of the catalogue from one of the
    project with the same name. ``lost`` is the name of the counter to which a gauge's value is
    added when its process dies, or "".
    """

    type: str
    name: str
    help: str = field(default="", compare=False)
    unit: str = field(default="", compare=False)
    labels: tuple[str, ...] = ()
    bounds: tuple[float, ...] = ()
    mode: str = ""
    is_ours: bool = False
    lost: str = ""

    @cached_property
    def counter_of_lost(self) -> Declaration:
        """Return the counter that ``lost`` names."""
        return Declaration(COUNTER, self.lost, labels=self.labels, is_ours=self.is_ours)

    @cached_property
    def width(self) -> int:
        """Return the number of doubles in the record of a label set.

        A counter has its total, a summary its count and sum, a histogram its sum and the count of
        each bucket, not cumulated.
        """
        widths = {COUNTER: 1, SUMMARY: 2, GAUGE: GAUGE_WIDTH, HISTOGRAM: 1 + len(self.bounds)}
        return widths[self.type]

    @cached_property
    def _hash(self) -> int:
        return hash((self.type, self.name, self.labels, self.mode, self.is_ours))

    def __hash__(self) -> int:
        return self._hash


class Series(NamedTuple):
    """One label set of a metric."""

    declaration: Declaration
    labels: tuple[str, ...]


def problem_with(declaration: Declaration) -> str:
    """Return what is wrong with a declaration, as the end of a sentence; "" if nothing is."""
    type_, bounds = declaration.type, declaration.bounds
    if type_ not in (COUNTER, GAUGE, HISTOGRAM, SUMMARY):
        return "be of a known type"
    if not all((declaration.name, *declaration.labels)):
        return "have names"
    if len(set(declaration.labels)) < len(declaration.labels):
        return "have labels of different names"
    # NaN is neither less nor greater than anything; prometheus_client accepts a bound twice.
    is_rising = all(low <= high for low, high in pairwise(bounds))
    if type_ == HISTOGRAM and not (is_rising and bounds[-1:] == (math.inf,)):
        return "have bounds that rise to +Inf"
    if (type_ != HISTOGRAM and bounds) or (type_ != GAUGE and declaration.mode):
        return "have what its type has"
    if declaration.mode not in MODES:
        return "have a known mode"
    return ""
