"""How a scrape reads the snapshot: within a second, or it exports the last copy."""

from __future__ import annotations

import threading
import time
from functools import partial

from django.db import connections

from tachikoma_metrics import conf
from tachikoma_metrics.business import snapshot_store
from tachikoma_metrics.business.snapshot import EMPTY, Snapshot
from tachikoma_metrics.business.snapshot_store import DatabaseStore, SnapshotStore
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.registry.deadlines import TimedCalls
from tachikoma_metrics.registry.thread_connections import connections_of_its_own

_WHEN_LATE = (
    "`BUSINESS_STORE` could not be read within a second; the last copy of the business metrics "
    "is exported. Check that the database, or the cache, is available."
)
_FRESH_SECONDS = 1.0


class SnapshotReader:
    """Reads the snapshot for a scrape; keeps a copy for when the store is unavailable."""

    def __init__(self) -> None:
        self._calls = TimedCalls()
        self._seen_writes = 0
        self.forget()

    def forget(self) -> None:
        """Forget the copy and, in a forked child process, the threads of the parent."""
        self._calls.forget()
        self._lock = threading.Lock()
        self._copy = EMPTY
        self._is_up = True
        self.expire()

    def expire(self) -> None:
        """Read the snapshot again in the next scrape, however new the copy is."""
        self._fresh_until = 0.0

    def read(self) -> tuple[Snapshot, bool]:
        """Return the snapshot, and whether the store could be read. Never raises.

        Each metric of a scrape calls this, and all get the same snapshot.
        """
        with self._lock:
            writes = snapshot_store.writes()
            if time.monotonic() >= self._fresh_until or writes != self._seen_writes:
                found, is_shared = self._fetch()
                self._is_up = found is not None
                self._copy = found or self._copy
                self._seen_writes = writes
                seconds = _FRESH_SECONDS if is_shared else 0.0
                self._fresh_until = time.monotonic() + seconds
            return self._copy, self._is_up

    def _fetch(self) -> tuple[Snapshot | None, bool]:
        """Return the snapshot, and whether other threads would read the same."""
        try:
            store = snapshot_store.store()
            if _is_in_test_transaction(store):
                # No other thread sees what a test has written in its transaction.
                return store.read(), False
            call = self._calls.put("business snapshot", _read_and_close, self._fail, _WHEN_LATE)
            return call.wait(), True
        except Exception as error:
            pass_on(error)
            self._fail(error)
            return None, True

    def _fail(self, error: Exception) -> None:
        # Once for each outage: ``business_up`` shows how long it lasts.
        if self._is_up:
            METRICS.count_and_log("business", error, is_expected=True)


def _is_in_test_transaction(store: SnapshotStore) -> bool:
    """Return whether a test has an open transaction on the database of the snapshot."""
    if not isinstance(store, DatabaseStore) or not conf.is_test_run():
        return False
    return connections[store.alias].in_atomic_block


def _read_and_close() -> Snapshot:
    with connections_of_its_own(partial(METRICS.count_error, "business")):
        return snapshot_store.store().read()
