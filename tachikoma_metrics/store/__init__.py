"""The store: values that all processes of a service share, exact to the last increment.

The store knows neither Django nor prometheus_client. Each live process writes one *slot*: a
memory-mapped file of doubles, which the process has locked and all processes read. A process
that starts takes over the lowest slot that is not locked and continues its totals. So there are
as many files as there ever were processes at the same time, and no total falls when a process
ends, however it ends.

``layout`` is what the bytes of such a file mean, ``slot`` the file as its process writes it,
``directory`` the directory with the files of a service, ``writer`` the part of this process,
``merge`` the values of all processes together.
"""

from __future__ import annotations

from tachikoma_metrics.store.attachments import Attachment
from tachikoma_metrics.store.cells import Cell, GaugeCell
from tachikoma_metrics.store.directory import bases
from tachikoma_metrics.store.families import Family, Line, Lines
from tachikoma_metrics.store.files import HAS_LOCKS
from tachikoma_metrics.store.incomplete import Incomplete
from tachikoma_metrics.store.layout import (
    LAYOUT_VERSION,
    LIVESUM_OF_SET,
    Declaration,
    Exemplar,
    Native,
    Series,
)
from tachikoma_metrics.store.lease import Lease
from tachikoma_metrics.store.limits import Limit, Limits
from tachikoma_metrics.store.merge import Merger
from tachikoma_metrics.store.native_cells import NativeCell
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
    "Attachment",
    "Cell",
    "Declaration",
    "Exemplar",
    "Exposed",
    "Family",
    "GaugeCell",
    "Incomplete",
    "Lease",
    "Limit",
    "Limits",
    "Line",
    "Lines",
    "Merger",
    "Native",
    "NativeCell",
    "Progress",
    "Reading",
    "Series",
    "SeriesGroup",
    "Store",
    "bases",
]
