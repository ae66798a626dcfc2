"""Where the snapshot of the business metrics is stored: in the database or in the cache."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.db import DatabaseError, IntegrityError, connections, router, transaction
from django.db.models import Q, QuerySet

from tachikoma_metrics import conf
from tachikoma_metrics.business.snapshot import EMPTY, Snapshot, restored
from tachikoma_metrics.cache.lookups import uncounted
from tachikoma_metrics.database.execute_wrappers import unmeasured
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.models import BusinessSnapshot

_MAX_CLOCK_SKEW_SECONDS = 60.0
"""A snapshot from further in the future was written by a host with a wrong clock."""

_KEY = "tachikoma_metrics:business"
_WRITE_TIMEOUT_SECONDS = 10


class SnapshotStore(Protocol):
    """Stores one snapshot. All methods raise whatever the database or the cache raises."""

    def read(self) -> Snapshot:
        """Return the snapshot; ``EMPTY`` before the first."""

    def begin(self, now: float, min_age: float) -> bool:
        """Return whether no other refresh began in the last ``min_age`` seconds."""

    def write(self, snapshot: Snapshot) -> bool:
        """Replace an older snapshot; return False if there is a newer one."""


class NotMigrated(Exception):
    """Raised if the database has no table for the snapshot; the message names the fix."""


def _is_before(field_name: str, moment: float, now: float) -> Q:
    too_late = now + _MAX_CLOCK_SKEW_SECONDS
    return Q(**{f"{field_name}__lt": moment}) | Q(**{f"{field_name}__gt": too_late})


class DatabaseStore:
    """Stores the snapshot in a row."""

    @property
    def alias(self) -> str:
        """Return the alias of the database with the row."""
        return router.db_for_write(BusinessSnapshot)

    def read(self) -> Snapshot:
        """Return the snapshot; ``EMPTY`` before the first."""
        # Unmeasured, as in the cache: the app did not make this query.
        with self._explained(), unmeasured(connections[self.alias]):
            row = self._rows().first()
        return EMPTY if row is None else restored(row.taken_at, json.loads(row.content))

    def begin(self, now: float, min_age: float) -> bool:
        """Return whether no other refresh began in the last ``min_age`` seconds."""
        rows = self._rows()
        is_old = _is_before("begun_at", now - min_age, now)
        with self._explained():
            if rows.filter(is_old).update(begun_at=now):
                return True
        return not rows.exists() and self._create(now)

    def write(self, snapshot: Snapshot) -> bool:
        """Replace an older snapshot; return False if there is a newer one."""
        rows = self._rows()
        if not rows.exists():
            self._create(snapshot.taken_at)
        is_older = _is_before("taken_at", snapshot.taken_at, time.time())
        content = json.dumps(snapshot.content())
        return bool(rows.filter(is_older).update(taken_at=snapshot.taken_at, content=content))

    def lacks_table(self) -> bool:
        """Return whether the database is available and has no table for the snapshot."""
        try:
            tables = connections[self.alias].introspection.table_names()
        except Exception as error:
            pass_on(error)
            return False
        return BusinessSnapshot._meta.db_table not in tables

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except DatabaseError:
            if self.lacks_table():
                raise NotMigrated(
                    f"the database {self.alias!r} lacks the table for the business metrics: run "
                    "`manage.py migrate`"
                ) from None
            raise

    def _rows(self) -> QuerySet[BusinessSnapshot]:
        return BusinessSnapshot.objects.using(self.alias).filter(pk=1)

    def _create(self, now: float) -> bool:
        try:
            with transaction.atomic(using=self.alias):
                BusinessSnapshot.objects.using(self.alias).create(pk=1, begun_at=now)
        except IntegrityError:
            # Another process created it first.
            return False
        return True


def _cache() -> Any:
    return caches[DEFAULT_CACHE_ALIAS]


@contextmanager
def _unmeasured_cache() -> Iterator[Any]:
    """Yield the cache without measuring the lookups, which the app did not make."""
    cache = _cache()
    with uncounted(cache, DEFAULT_CACHE_ALIAS):
        yield cache


class CacheStore:
    """Stores the snapshot in the cache ``default``, as long as it may be exported."""

    def read(self) -> Snapshot:
        """Return the snapshot; ``EMPTY`` before the first."""
        with _unmeasured_cache() as cache:
            found = cache.get(_KEY)
        return restored(found["taken_at"], found) if found else EMPTY

    def begin(self, now: float, min_age: float) -> bool:
        """Return whether no other refresh began in the last ``min_age`` seconds."""
        return min_age <= 0 or _cache().add(f"{_KEY}:begun", now, timeout=min_age)

    def write(self, snapshot: Snapshot) -> bool:
        """Replace an older snapshot; return False if there is a newer one."""
        writing, cache = f"{_KEY}:writing", _cache()
        give_up_at = time.monotonic() + _WRITE_TIMEOUT_SECONDS
        while not cache.add(writing, snapshot.taken_at, timeout=_WRITE_TIMEOUT_SECONDS):
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.05)
        try:
            before = self.read().taken_at
            if snapshot.taken_at <= before <= time.time() + _MAX_CLOCK_SKEW_SECONDS:
                return False
            content = {"taken_at": snapshot.taken_at, **snapshot.content()}
            cache.set(_KEY, content, timeout=conf.config().business_lifetime)
            return True
        finally:
            cache.delete(writing)


_writes = 0


def writes() -> int:
    """Return how many snapshots this process has written."""
    return _writes


def save(snapshot: Snapshot) -> bool:
    """Store a snapshot in the store of the settings; return False if there is a newer one."""
    global _writes
    _writes += 1
    return store().write(snapshot)


def store() -> SnapshotStore:
    """Return the store that ``BUSINESS_STORE`` names."""
    return DatabaseStore() if conf.config().business_store == "database" else CacheStore()


def lacks_table(aliases: Collection[str] | None = None) -> str | None:
    """Return the database among ``aliases`` that needs a table for the snapshot and has none.

    Returns None as well if the settings need no table, or the database is unavailable.
    """
    config = conf.config()
    is_in_database = config.business_store == "database"
    if not (config.enabled and config.has_business_metrics and is_in_database):
        return None
    store = DatabaseStore()
    if aliases is not None and store.alias not in aliases:
        return None
    return store.alias if store.lacks_table() else None
