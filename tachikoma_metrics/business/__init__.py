"""Business metrics: numbers of rows of the project's models, or values of its callables.

Counting in each scrape would multiply the load of the database by scrapers and hosts.
Instead a refresh counts on a schedule, stores one snapshot, and all processes on all hosts
export that snapshot.
"""

from __future__ import annotations

from tachikoma_metrics.business.collector import install
from tachikoma_metrics.business.refreshing import (
    Refresh,
    aupdate_business_metrics,
    min_age,
    refresh,
    update_business_metrics,
)
from tachikoma_metrics.business.snapshot_store import NotMigrated, lacks_table

__all__ = [
    "NotMigrated",
    "Refresh",
    "aupdate_business_metrics",
    "install",
    "lacks_table",
    "min_age",
    "refresh",
    "update_business_metrics",
]
