"""The diagnostics command: whether the metrics of this service are right, and if not, why."""

from __future__ import annotations

from tachikoma_metrics.doctor.findings import ERROR, OK, WARNING, Finding, has_reached
from tachikoma_metrics.doctor.server import of_server
from tachikoma_metrics.doctor.service import of_this_service

__all__ = [
    "ERROR",
    "OK",
    "WARNING",
    "Finding",
    "has_reached",
    "of_server",
    "of_this_service",
]
