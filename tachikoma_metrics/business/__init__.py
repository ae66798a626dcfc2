"""Counts of what a service is about: rows of its tables, or what its callables return.

Counting is dear, and a scrape is not the time for it: a refresh counts now and then,
writes one snapshot, and all processes on all hosts show that one.
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
from tachikoma_metrics.business.snapshot import NotMigrated, lacks_table

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
