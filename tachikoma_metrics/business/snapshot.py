"""The counts of one refresh, and where they are kept."""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.db import DatabaseError, IntegrityError, connections, router, transaction
from django.db.models import Q, QuerySet

from tachikoma_metrics import conf
from tachikoma_metrics.business.counting import Counts
from tachikoma_metrics.cache.lookups import uncounted
from tachikoma_metrics.database.execute_wrappers import unmeasured
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.models import BusinessSnapshot

_SECONDS_CLOCKS_DIFFER = 60.0
"""What is from further in the future was written by a clock that was wrong."""

_KEY = "tachikoma_metrics:business"
_SECONDS_TO_WRITE = 10


@dataclass(frozen=True)
class CountedFamily:
    """The numbers of a family; ``at`` is the Unix time at which they were taken."""

    name: str
    help: str
    labels: tuple[str, ...]
    at: float
    counts: Counts


@dataclass(frozen=True)
class Snapshot:
    """The counts of a refresh that began at ``taken_at`` and took ``duration`` seconds.

    A family that could not be counted is in ``failed``, with the counts it had before.
    """

    taken_at: float
    duration: float = 0.0
    families: tuple[CountedFamily, ...] = ()
    failed: tuple[str, ...] = ()

    def content(self) -> dict[str, Any]:
        """Return the snapshot as JSON can have it."""
        families = [
            {**asdict(family), "counts": [[list(key), n] for key, n in family.counts.items()]}
            for family in self.families
        ]
        return {"duration": self.duration, "failed": list(self.failed), "families": families}


NOTHING = Snapshot(0.0)


def restored(taken_at: float, content: Mapping[str, Any]) -> Snapshot:
    """Return the snapshot of which ``content`` is; raise if it is of no snapshot."""
    families = tuple(
        CountedFamily(
            str(one["name"]),
            str(one["help"]),
            tuple(map(str, one["labels"])),
            float(one["at"]),
            {tuple(map(str, key)): float(number) for key, number in one["counts"]},
        )
        for one in content.get("families", ())
    )
    failed = tuple(map(str, content.get("failed", ())))
    return Snapshot(taken_at, float(content.get("duration", 0.0)), families, failed)


class SnapshotStore(Protocol):
    """Keeps one snapshot. All methods raise whatever the database or the cache raises."""

    def read(self) -> Snapshot:
        """Return the snapshot; ``NOTHING`` before the first."""

    def begin(self, now: float, min_age: float) -> bool:
        """Tell whether no other refresh began in the last ``min_age`` seconds."""

    def write(self, snapshot: Snapshot) -> bool:
        """Replace an older snapshot; return False if there is a newer one."""


class NotMigrated(Exception):
    """Raised where the database has no table for the snapshot; says the remedy."""


def _is_before(field_name: str, moment: float, now: float) -> Q:
    wrong = now + _SECONDS_CLOCKS_DIFFER
    return Q(**{f"{field_name}__lt": moment}) | Q(**{f"{field_name}__gt": wrong})


class DatabaseStore:
    """Keep the snapshot in a row."""

    @property
    def alias(self) -> str:
        """Return the database it is in."""
        return router.db_for_write(BusinessSnapshot)

    def read(self) -> Snapshot:
        """Return the snapshot; ``NOTHING`` before the first."""
        # As with the cache: what we look up is none of the app's business.
        with self._explained(), unmeasured(connections[self.alias]):
            row = self._rows().first()
        return NOTHING if row is None else restored(row.taken_at, json.loads(row.content))

    def begin(self, now: float, min_age: float) -> bool:
        """Tell whether no other refresh began in the last ``min_age`` seconds."""
        rows = self._rows()
        is_old = _is_before("begun_at", now - min_age, now)
        with self._explained():
            if rows.filter(is_old).update(begun_at=now):
                return True
        return not rows.exists() and self._made(now)

    def write(self, snapshot: Snapshot) -> bool:
        """Replace an older snapshot; return False if there is a newer one."""
        rows = self._rows()
        if not rows.exists():
            self._made(snapshot.taken_at)
        is_older = _is_before("taken_at", snapshot.taken_at, time.time())
        content = json.dumps(snapshot.content())
        return bool(rows.filter(is_older).update(taken_at=snapshot.taken_at, content=content))

    def lacks_table(self) -> bool:
        """Tell whether the database answers, and has no table for the snapshot."""
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

    def _made(self, now: float) -> bool:
        try:
            with transaction.atomic(using=self.alias):
                BusinessSnapshot.objects.using(self.alias).create(pk=1, begun_at=now)
        except IntegrityError:
            # Another process was quicker.
            return False
        return True


def _cache() -> Any:
    return caches[DEFAULT_CACHE_ALIAS]


@contextmanager
def _own_cache() -> Iterator[Any]:
    """Lend the cache; what we look up is none of the app's business."""
    cache = _cache()
    with uncounted(cache, DEFAULT_CACHE_ALIAS):
        yield cache


class CacheStore:
    """Keep the snapshot in the cache ``default``, as long as it may be shown."""

    def read(self) -> Snapshot:
        """Return the snapshot; ``NOTHING`` before the first."""
        with _own_cache() as cache:
            found = cache.get(_KEY)
        return restored(found["taken_at"], found) if found else NOTHING

    def begin(self, now: float, min_age: float) -> bool:
        """Tell whether no other refresh began in the last ``min_age`` seconds."""
        return min_age <= 0 or _cache().add(f"{_KEY}:begun", now, timeout=min_age)

    def write(self, snapshot: Snapshot) -> bool:
        """Replace an older snapshot; return False if there is a newer one."""
        writing, cache = f"{_KEY}:writing", _cache()
        give_up_at = time.monotonic() + _SECONDS_TO_WRITE
        while not cache.add(writing, snapshot.taken_at, timeout=_SECONDS_TO_WRITE):
            if time.monotonic() > give_up_at:
                return False
            time.sleep(0.05)
        try:
            before = self.read().taken_at
            if snapshot.taken_at <= before <= time.time() + _SECONDS_CLOCKS_DIFFER:
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


def keep(snapshot: Snapshot) -> bool:
    """Keep a snapshot where the settings say; return False if there is a newer one."""
    global _writes
    _writes += 1
    return store().write(snapshot)


def store() -> SnapshotStore:
    """Return where the settings have the snapshot kept."""
    return DatabaseStore() if conf.config().business_store == "database" else CacheStore()


def lacks_table(aliases: Collection[str] | None = None) -> str | None:
    """Return the database, of ``aliases``, that should have a table for the snapshot and has none.

    None, too, if the settings need none, or the database does not answer.
    """
    config = conf.config()
    needs_one = config.enabled and config.business_metrics and config.business_store == "database"
    if not needs_one:
        return None
    store = DatabaseStore()
    if aliases is not None and store.alias not in aliases:
        return None
    return store.alias if store.lacks_table() else None
