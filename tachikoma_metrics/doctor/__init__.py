"""The diagnostics command: whether the metrics of this service are right, and if not, why."""

from __future__ import annotations

from tachikoma_metrics.doctor import (
    access,
    business,
    exposition,
    native_histograms,
    push,
    refusals,
    settings,
    store,
)
from tachikoma_metrics.doctor.findings import ERROR, OK, WARNING, Finding, has_reached
from tachikoma_metrics.doctor.server import of_server
from tachikoma_metrics.doctor.service import of_this_service

CHECKS = {
    settings.CHECK: "messages of the system checks",
    store.CHECK: "where processes share their values",
    store.OTHER_VERSIONS: "directories of other versions of the package",
    access.CHECK: "which clients may read the metrics",
    native_histograms.CHECK: "which histograms are native",
    refusals.ENDPOINT: "whether a server, or this process, exposes metrics",
    exposition.SCRAPE: "duration and size of a scrape",
    exposition.PROCESSES: "number of live processes",
    exposition.ERRORS: "instrumentation errors, by source",
    exposition.CARDINALITY: "label sets per metric",
    push.CHECK: "whether values are sent by OTLP, and where to",
    business.CHECK: "whether the business metrics are fresh",
}
"""What each check of a finding is about, by its slug."""

__all__ = [
    "CHECKS",
    "ERROR",
    "OK",
    "WARNING",
    "Finding",
    "has_reached",
    "of_server",
    "of_this_service",
]
