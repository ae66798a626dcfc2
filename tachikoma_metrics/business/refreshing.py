"""Count everything anew, and keep it for all processes to show."""

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
from tachikoma_metrics.business import snapshot
from tachikoma_metrics.business.counting import count
from tachikoma_metrics.business.families import BusinessFamily, declared, obstacles_of_names
from tachikoma_metrics.business.snapshot import CountedFamily, NotMigrated, Snapshot
from tachikoma_metrics.registry import METRICS, thread_connections

_SECONDS_TO_WAIT = 60.0

_SHARE_OF_AN_INTERVAL = 0.9
"""Two that refresh do the work of one; who comes a little early is not left out."""


def min_age(interval: float) -> float:
    """Return how old the last refresh must be for one more, if there is one each interval.

    All are seconds.
    """
    return interval * _SHARE_OF_AN_INTERVAL


@dataclass(frozen=True)
class Refresh:
    """Tell what a refresh came to.

    ``is_kept`` is False if a newer one was quicker, or nothing was to be kept;
    ``errors`` says of each family that failed why.
    """

    snapshot: Snapshot
    is_kept: bool
    errors: dict[str, Exception]


def refresh(min_age: float = 0.0, *, dry_run: bool = False) -> Refresh | None:
    """Count all families of ``BUSINESS_METRICS`` and keep the counts.

    Returns None if another refresh began less than ``min_age`` seconds ago, or nothing
    is declared. A family that fails keeps its counts from before, and is a fault in
    ``tachikoma_metrics_errors_total``; raises if the counts cannot be kept. With
    ``dry_run`` nothing is kept.

    Within a transaction it works on connections of its own, in a thread, and waits a minute for it:
    a query that fails would break the transaction, and the snapshot's row would be locked
    until its end. It does not see what the transaction has written.
    """
    families = declared()
    if not families:
        return None
    if _is_within_a_transaction():
        return _apart(partial(refresh, min_age, dry_run=dry_run))
    store = snapshot.store()
    now = time.time()
    if dry_run:
        return _refresh(families, now, Snapshot(0.0))
    if not store.begin(now, min_age):
        return None
    done = _refresh(families, now, store.read())
    return Refresh(done.snapshot, snapshot.keep(done.snapshot), done.errors)


def update_business_metrics() -> None:
    """Count all families of ``BUSINESS_METRICS`` now, for all processes to show.

    Never raises: what goes wrong is counted in ``tachikoma_metrics_errors_total``.
    """
    try:
        refresh()
    except Exception as error:
        is_expected = isinstance(error, (DatabaseError, NotMigrated))
        METRICS.count_error("business", error, is_expected=is_expected)


aupdate_business_metrics = sync_to_async(update_business_metrics)
"""Do as ``update_business_metrics`` does, and be awaited."""


def _is_within_a_transaction() -> bool:
    # What a test writes, nobody sees outside of its transaction.
    return not conf.is_test_run() and thread_connections.is_in_transaction()


def _apart(work: Callable[[], Refresh | None]) -> Refresh | None:
    done: Future[Refresh | None] = Future()

    def run() -> None:
        try:
            with thread_connections.closing_connections(partial(METRICS.count_error, "business")):
                done.set_result(work())
        except BaseException as error:
            done.set_exception(error)

    threading.Thread(target=run, name="refresh", daemon=True).start()
    # The transaction that waits here may hold the very lock that is needed there.
    return done.result(_SECONDS_TO_WAIT)


def _refresh(families: list[BusinessFamily], now: float, before: Snapshot) -> Refresh:
    errors: dict[str, Exception] = {}
    known = {family.name: family for family in before.families}
    counted: list[CountedFamily] = []
    for family in families:
        try:
            counted.append(_counted(family))
        except Exception as error:
            # Of a callable, the project has to see where it failed.
            is_expected = not family.callable_path
            METRICS.count_error("business", error, family.name, is_expected=is_expected)
            errors[family.name] = error
            if family.name in known:
                counted.append(known[family.name])
    duration = time.time() - now
    return Refresh(Snapshot(now, duration, tuple(counted), tuple(errors)), False, errors)


def _counted(family: BusinessFamily) -> CountedFamily:
    for obstacle in obstacles_of_names(family):
        raise ValueError(
            f"`BUSINESS_METRICS` should declare `{family.name}` otherwise: {obstacle.says}"
        )
    at = time.time()
    return CountedFamily(family.name, family.help, tuple(family.labels), at, count(family))
