"""Count the business metrics, and store the snapshot that all processes export."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

from asgiref.sync import sync_to_async
from django.db import DatabaseError

from tachikoma_metrics import conf
from tachikoma_metrics.business import snapshot_store
from tachikoma_metrics.business.counting import count
from tachikoma_metrics.business.declarations import BusinessMetric, declared
from tachikoma_metrics.business.snapshot import CountedMetric, Snapshot
from tachikoma_metrics.business.snapshot_store import NotMigrated
from tachikoma_metrics.business.validation import name_problems
from tachikoma_metrics.registry import METRICS, thread_connections

_TIMEOUT_SECONDS = 60.0

_MIN_AGE_PER_INTERVAL = 0.9
"""Concurrent refreshers are deduplicated; a refresh that is a little early still runs."""


def min_age(interval: float) -> float:
    """Return the minimum age of the last refresh, in seconds, if one runs each ``interval``."""
    return interval * _MIN_AGE_PER_INTERVAL


@dataclass(frozen=True)
class Refresh:
    """The result of a refresh.

    ``is_stored`` is False if a newer one was stored first, or if it was a dry run; ``errors``
    has the exception of each metric that failed, by its name.
    """

    snapshot: Snapshot
    is_stored: bool
    errors: dict[str, Exception]


def refresh(min_age: float = 0.0, *, dry_run: bool = False) -> Refresh | None:
    """Count all business metrics and store the snapshot.

    Returns None if another refresh began less than ``min_age`` seconds ago, or if no metric
    is declared. A metric that fails keeps its previous values, and is counted in
    ``tachikoma_metrics_errors_total``; raises if the snapshot cannot be stored. With
    ``dry_run`` nothing is stored.

    In a transaction, a thread with separate connections does the work, and the caller waits
    up to a minute: a query that fails would break the transaction, and the snapshot's row would
    be locked until its end. What the transaction has written is not counted.
    """
    metrics = declared()
    if not metrics:
        return None
    if _is_in_transaction():
        return _in_thread(partial(refresh, min_age, dry_run=dry_run))
    store = snapshot_store.store()
    now = time.time()
    if dry_run:
        return _refresh(metrics, now, Snapshot(0.0))
    if not store.begin(now, min_age):
        return None
    done = _refresh(metrics, now, store.read())
    return Refresh(done.snapshot, snapshot_store.save(done.snapshot), done.errors)


def update_business_metrics() -> None:
    """Count all metrics of ``BUSINESS_METRICS`` now, for all processes to export.

    Never raises: errors are counted in ``tachikoma_metrics_errors_total``.
    """
    try:
        refresh()
    except Exception as error:
        is_expected = isinstance(error, (DatabaseError, NotMigrated))
        METRICS.count_error("business", error, is_expected=is_expected)


aupdate_business_metrics = sync_to_async(update_business_metrics)
"""``update_business_metrics`` for async code."""


def _is_in_transaction() -> bool:
    # Another thread would not see what a test writes in its transaction.
    return not conf.is_test_run() and thread_connections.is_in_transaction()


def _in_thread(work: Callable[[], Refresh | None]) -> Refresh | None:
    done: Future[Refresh | None] = Future()

    def run() -> None:
        try:
            with thread_connections.closing_connections(partial(METRICS.count_error, "business")):
                done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="refresh", daemon=True).start()
    # With a timeout: the transaction of the caller may hold a lock that the thread needs.
    return done.result(_TIMEOUT_SECONDS)


def _refresh(metrics: list[BusinessMetric], now: float, before: Snapshot) -> Refresh:
    errors: dict[str, Exception] = {}
    known = {metric.name: metric for metric in before.metrics}
    counted: list[CountedMetric] = []
    for metric in metrics:
        try:
            counted.append(_counted(metric))
        except Exception as error:
            # With a traceback if code of the project failed.
            is_expected = not metric.calls_project_code
            METRICS.count_error("business", error, metric.name, is_expected=is_expected)
            errors[metric.name] = error
            if metric.name in known:
                counted.append(known[metric.name])
    duration = time.time() - now
    return Refresh(Snapshot(now, duration, tuple(counted), tuple(errors)), False, errors)


def _counted(metric: BusinessMetric) -> CountedMetric:
    for problem in name_problems(metric):
        raise ValueError(f"`{metric.name}` in `BUSINESS_METRICS` is invalid: {problem.message}")
    at = time.time()
    return CountedMetric(metric.name, metric.help, tuple(metric.labels), at, count(metric))
