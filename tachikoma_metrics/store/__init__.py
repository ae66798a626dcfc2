"""The store: values that all processes of a service share, exact to the last increment.

Knows neither Django nor prometheus_client. Each living process writes a slot of its
own, a file of doubles that it has mapped and locked; everybody reads all of them. A
process that starts takes the lowest slot that nobody holds and goes on from its
totals, so that there are as many files as there ever were processes at once, and no
total falls when a process ends, however it ends.
"""

from __future__ import annotations

from tachikoma_metrics.store.cells import Cell, GaugeCell
from tachikoma_metrics.store.directory import bases
from tachikoma_metrics.store.families import Family, Line, Lines
from tachikoma_metrics.store.files import HAS_LOCKS
from tachikoma_metrics.store.incomplete import Incomplete
from tachikoma_metrics.store.layout import LAYOUT_VERSION, LIVESUM_OF_SET, Declaration, Series
from tachikoma_metrics.store.limits import Limit, Limits
from tachikoma_metrics.store.merge import Merger
from tachikoma_metrics.store.permissions import Exposed
from tachikoma_metrics.store.progress import Progress
from tachikoma_metrics.store.reading import Reading
from tachikoma_metrics.store.series_group import IGNORED, UNKNOWN, SeriesGroup
from tachikoma_metrics.store.writer import STORE, Store

__all__ = [
    "HAS_LOCKS",
    "IGNORED",
    "LAYOUT_VERSION",
    "LIVESUM_OF_SET",
    "STORE",
    "UNKNOWN",
    "Cell",
    "Declaration",
    "Exposed",
    "Family",
    "GaugeCell",
    "Incomplete",
    "Limit",
    "Limits",
    "Line",
    "Lines",
    "Merger",
    "Progress",
    "Reading",
    "Series",
    "SeriesGroup",
    "Store",
    "bases",
]
