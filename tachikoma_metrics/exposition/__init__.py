"""The page: gather what a registry holds, choose a format, render it.

Knows nothing of the catalogue: the registry, the global labels and whoever
counts faults are handed in, so that the same code serves any of them.
"""

from __future__ import annotations

from tachikoma_metrics.exposition.coalescing import Coalescer
from tachikoma_metrics.exposition.families import OnError
from tachikoma_metrics.exposition.gather import Rank, gather
from tachikoma_metrics.exposition.merged import MergedMetric, number
from tachikoma_metrics.exposition.negotiation import accepts_gzip, choose_format
from tachikoma_metrics.exposition.render import OPENMETRICS, TEXT, Format

__all__ = [
    "OPENMETRICS",
    "TEXT",
    "Coalescer",
    "Format",
    "MergedMetric",
    "OnError",
    "Rank",
    "accepts_gzip",
    "choose_format",
    "gather",
    "number",
]
