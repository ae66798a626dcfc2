"""Prometheus metrics for Django.

Importing the package needs neither configured settings nor loaded apps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tachikoma_metrics.backends.attempts import track_backend_request
from tachikoma_metrics.catalogue.labels import normalize_path
from tachikoma_metrics.llm.executions import track_execution
from tachikoma_metrics.recording.recorders import (
    record_backend_error,
    record_backend_request,
    record_cache_hit,
    record_cache_miss,
    record_db_query,
    record_execution,
    record_file_change,
)
from tachikoma_metrics.recording.timer import Timer
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.version import __version__

if TYPE_CHECKING:
    from tachikoma_metrics.business import aupdate_business_metrics, update_business_metrics

__all__ = [
    "METRICS",
    "Timer",
    "__version__",
    "aupdate_business_metrics",
    "normalize_path",
    "record_backend_error",
    "record_backend_request",
    "record_cache_hit",
    "record_cache_miss",
    "record_db_query",
    "record_execution",
    "record_file_change",
    "track_backend_request",
    "track_execution",
    "update_business_metrics",
]


def __getattr__(name: str) -> Any:
    """Return the functions that need loaded apps, when they are first used."""
    if name in ("aupdate_business_metrics", "update_business_metrics"):
        from tachikoma_metrics import business

        return getattr(business, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
