"""Celery beat: when it last looked at its schedule, and which entries it should have sent.

The scheduler's class is replaced by a subclass of it, once beat has made one, so the file
scheduler, the one of django-celery-beat and a project's own are measured alike. An entry is
overdue from when it was due to when it is sent: a beat that cannot reach its broker has some. If
a beat hangs or ends, its last look grows old.

Values are as of the last look: a beat looks at its schedule when an entry is due, and at least
every ``beat_max_loop_interval`` seconds.

https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html
"""

from __future__ import annotations

import functools
import time
from collections.abc import Mapping
from typing import Any

from tachikoma_metrics import catalogue, exposition
from tachikoma_metrics.conf import config
from tachikoma_metrics.exposition.parse import parse_text
from tachikoma_metrics.recording.subclasses import is_measured_class, measured_subclass, set_class
from tachikoma_metrics.registry import METRICS

_SECONDS_BETWEEN_RECORDS = 1.0


class Watch:
    """What is known of one scheduler's entries."""

    def __init__(self) -> None:
        self.unsent: dict[str, float] = {}
        """When each entry that could not be sent was first to be sent, in Unix seconds."""

        self._recorded: set[str] | None = None
        self._record_at = 0.0

    def record(self, scheduler: Any, is_idle: bool, now: float) -> None:
        """Record a look at the schedule; entries at most once a second, until beat is idle."""
        METRICS.beat_last_tick_timestamp_seconds.set(now)
        if is_idle or now >= self._record_at:
            self._record_at = now + _SECONDS_BETWEEN_RECORDS
            self._record_entries(self._overdue(scheduler, now))

    def _record_entries(self, overdue: dict[str, float]) -> None:
        bound = METRICS.bound(catalogue.BEAT_ENTRY_OVERDUE.name)
        if not bound.is_on:
            return
        if not bound.shape.label_names:
            METRICS.beat_entry_overdue_seconds.set(max(overdue.values(), default=0.0))
            return
        if self._recorded is None:
            self._recorded = _exported_entries()
        for name, seconds in overdue.items():
            bound.metric.labels(name).set(seconds)
        for name in self._recorded - set(overdue):
            # What a beat that ended has set is removed by way of a label set of this process.
            bound.metric.labels(name)
            bound.metric.remove(name)
        self._recorded = set(overdue)

    def _overdue(self, scheduler: Any, now: float) -> dict[str, float]:
        """Return the seconds for which each entry has been due."""
        known = _known_entries(scheduler)
        overdue = {**dict.fromkeys(known or (), 0.0), **_due_entries(scheduler)}
        if known is not None:
            # An entry that was removed is not to be sent any more.
            self.unsent = {name: at for name, at in self.unsent.items() if name in known}
        for name, failed_at in self.unsent.items():
            overdue[name] = max(overdue.get(name, 0.0), now - failed_at)
        return overdue


def _exported_entries() -> set[str]:
    """Return the entries that are exported, those of beats that ended included."""
    name = METRICS.bound(catalogue.BEAT_ENTRY_OVERDUE.name).shape.full_name
    page = METRICS.expose(exposition.TEXT, frozenset({name}))
    labels = [dict(labels) for found, labels in parse_text(page) if found == name]
    return {str(one[catalogue.BEAT_ENTRY_OVERDUE.label_names[0]]) for one in labels}


def _known_entries(scheduler: Any) -> set[str] | None:
    """Return the names of all entries; None from a scheduler that keeps no copy of them."""
    known = getattr(scheduler, "old_schedulers", None)
    return set(map(str, known)) if isinstance(known, Mapping) else None


def _due_entries(scheduler: Any) -> dict[str, float]:
    """Return the seconds since each entry was due, by Celery's heap of the next times.

    Returns none for a scheduler that keeps no such heap: neither name is public.
    """
    try:
        return {
            str(entry.name): max(0.0, scheduler._when(entry, 0) - due_at)
            for due_at, _, entry in scheduler._heap or ()
        }
    except (AttributeError, TypeError, ValueError):
        return {}


def watch(scheduler: Any) -> None:
    """Measure a scheduler from now on; twice changes nothing."""
    kind: Any = type(scheduler)
    if not is_measured_class(kind):
        METRICS.activate(catalogue.RECORDED_BY_BEAT)
        set_class(scheduler, _watched(kind, Watch()))


def _watched(original: Any, watch: Watch) -> Any:
    """Return a subclass of a scheduler's class that records what it does."""

    @functools.wraps(original.tick)
    def tick(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        seconds = super(watched, scheduler).tick(*args, **kwargs)
        try:
            if config().measures_celery:
                watch.record(scheduler, seconds != 0, time.time())
        except Exception as error:
            METRICS.count_error("task", error)
        return seconds

    @functools.wraps(original.apply_async)
    def apply_async(scheduler: Any, entry: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            result = super(watched, scheduler).apply_async(entry, *args, **kwargs)
        except Exception:
            watch.unsent.setdefault(entry.name, time.time())
            raise
        watch.unsent.pop(entry.name, None)
        return result

    watched: Any = measured_subclass(original, {"tick": tick, "apply_async": apply_async})
    return watched
