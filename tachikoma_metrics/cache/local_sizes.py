"""The number of entries of caches in local memory: each process records its own.

It is recorded when it changes, rather than on a scrape, since only this process has the entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.labels import clean
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE, Cell


class LocalCache:
    """The entries of a cache in the memory of this process.

    ``recorded`` is the number that was recorded last.
    """

    __slots__ = ("alias", "entries", "recorded")

    def __init__(self, alias: str, entries: Mapping[Any, Any]) -> None:
        self.alias = alias
        self.entries = entries
        self.recorded = -1

    def record(self) -> None:
        """Record the number of entries. Never raises."""
        try:
            bound = METRICS.bound(catalogue.CACHE_SIZE.name)
            if not bound.is_on:
                self.recorded = len(self.entries)
            elif bound.shape.label_names:
                self._record_by_alias(bound.metric)
            else:
                cell: Cell = bound.metric.cell
                cell.follow(_total)
        except BaseException as error:
            # The number may or may not have been recorded.
            self.recorded = -1
            if not isinstance(error, Exception):
                raise
            METRICS.count_error("cache", error, self.alias)

    def _record_by_alias(self, metric: Any) -> None:
        for local in list(LOCAL.values()):
            # Caches of the same LOCATION share their entries.
            if local.entries is self.entries:
                child, _ = metric.child((clean(local.alias),))
                child.cell.follow(local.measure)

    def measure(self) -> float:
        """Return the number of entries, and keep it in ``recorded``."""
        self.recorded = len(self.entries)
        return float(self.recorded)


LOCAL: dict[str, LocalCache] = {}
"""The measured caches in the memory of this process, by alias."""


def _total() -> float:
    """Return the number of entries of all caches; entries that two caches share count once."""
    distinct = {id(local.entries): local for local in list(LOCAL.values())}
    for local in list(LOCAL.values()):
        local.measure()
    return float(sum(local.recorded for local in distinct.values()))


def register(alias: str, local: LocalCache | None) -> None:
    """Record the entries of a cache from now on; None if it has no local ones."""
    if local is None:
        LOCAL.pop(alias, None)
    else:
        LOCAL[alias] = local


def record_again() -> None:
    """Record the size of every cache on its next use."""
    for local in list(LOCAL.values()):
        local.recorded = -1


def clear() -> None:
    """Remove all recorded sizes, before other caches are registered."""
    if LOCAL:
        LOCAL.clear()
        METRICS.bound(catalogue.CACHE_SIZE.name).metric.reset_series()


METRICS.on_reset(record_again)
STORE.on_fork(record_again)
