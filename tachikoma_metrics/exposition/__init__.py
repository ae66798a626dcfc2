"""The exposition: collect the metrics of a registry, choose a format, render them.

Nothing here knows the catalogue: the registry, the global labels and the callback that counts
errors are arguments, so that the same code serves any registry.
"""

from __future__ import annotations

from tachikoma_metrics.exposition.coalescing import Coalescer
from tachikoma_metrics.exposition.families import OnError
from tachikoma_metrics.exposition.formats import Exposition, Format
from tachikoma_metrics.exposition.gather import Rank, gather
from tachikoma_metrics.exposition.merged import MergedMetric
from tachikoma_metrics.exposition.names import CREATED
from tachikoma_metrics.exposition.negotiation import accepts_gzip, choose_format
from tachikoma_metrics.exposition.protobuf import PROTOBUF
from tachikoma_metrics.exposition.render import OPENMETRICS, TEXT, TEXT_WITHOUT_TIMESTAMPS
from tachikoma_metrics.exposition.syntax import number

__all__ = [
    "CREATED",
    "OPENMETRICS",
    "PROTOBUF",
    "TEXT",
    "TEXT_WITHOUT_TIMESTAMPS",
    "Coalescer",
    "Exposition",
    "Format",
    "MergedMetric",
    "OnError",
    "Rank",
    "accepts_gzip",
    "choose_format",
    "gather",
    "number",
]
