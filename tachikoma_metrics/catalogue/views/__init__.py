"""The views: names of other packages under which the metrics of the catalogue can be exposed."""

from __future__ import annotations

from tachikoma_metrics.catalogue.views.definitions import (
    CACHE_BACKEND,
    DATABASE_SYSTEM,
    DATABASE_VENDOR,
    DerivedLabel,
    DerivedMetric,
    LookUp,
    View,
)
from tachikoma_metrics.catalogue.views.django_prometheus import DJANGO_PROMETHEUS
from tachikoma_metrics.catalogue.views.opentelemetry import OPENTELEMETRY

__all__ = [
    "CACHE_BACKEND",
    "DATABASE_SYSTEM",
    "DATABASE_VENDOR",
    "VIEWS",
    "DerivedLabel",
    "DerivedMetric",
    "LookUp",
    "View",
]

VIEWS: dict[str, View] = {view.name: view for view in (DJANGO_PROMETHEUS, OPENTELEMETRY)}
"""Every view by its name, which ``VIEWS`` lists."""
