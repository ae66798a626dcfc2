"""Prometheus metrics of a Django service.

Importing the package needs neither configured settings nor loaded apps.
"""

from __future__ import annotations

from tachikoma_metrics.labels import normalize_path
from tachikoma_metrics.recorders import (
    Timer,
    record_backend_error,
    record_backend_request,
    record_cache_hit,
    record_cache_miss,
    record_db_query,
    record_execution,
    record_file_change,
)
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.version import __version__

__all__ = [
    "METRICS",
    "Timer",
    "__version__",
    "normalize_path",
    "record_backend_error",
    "record_backend_request",
    "record_cache_hit",
    "record_cache_miss",
    "record_db_query",
    "record_execution",
    "record_file_change",
]
