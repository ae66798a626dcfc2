"""What the store calls, and what it is given: the settings, and the metrics of this process."""

from __future__ import annotations

from tachikoma_metrics import conf
from tachikoma_metrics.registry import directories, runtime, values
from tachikoma_metrics.registry.metrics import METRICS
from tachikoma_metrics.store import STORE


def install() -> None:
    """Share the values of all metrics of this process with the other processes."""
    values.install(METRICS.count_store_error)


def _count_collections() -> None:
    if conf.config().include_process_metrics and STORE.is_shared:
        runtime.count_collections()


def _reserve_error_counter() -> None:
    if STORE.is_shared:
        STORE.afterwards(_expose_error_counter)


def _expose_error_counter() -> None:
    # Before the first error: it may be that there is no more room for it.
    METRICS.tachikoma_metrics_errors_total.labels("store").inc(0)


STORE.where = directories.where
STORE.prepare = directories.prepare
STORE.seconds_to_keep = lambda: conf.config().keep_totals
# A view adds label sets up: its metric would fall by what is dropped, as if it had restarted.
STORE.keeps_unchanged = lambda: bool(conf.config().views)
STORE.on_error = METRICS.count_store_error
STORE.on_maintenance(_count_collections)
STORE.on_maintenance(_reserve_error_counter)
STORE.on_maintenance(values.drop_removed)
STORE.on_maintenance(directories.refresh)
STORE.on_fork(METRICS.renew_locks)
STORE.on_fork(runtime.leave_collections_to_parent)
conf.on_change(STORE.revisit)
