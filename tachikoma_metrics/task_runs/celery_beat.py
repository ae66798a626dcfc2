"""Celery beat: when it last looked at its schedule, and which entries it should have sent.

The scheduler's class is replaced by a subclass of it, once beat has made one, so the file
scheduler, the one of django-celery-beat and a project's own are measured alike. An entry is
overdue from when it was due to when it is sent: a beat that hangs, or that reaches no broker,
has some. A beat that ended has a last look that grows old.

https://docs.celeryq.dev/en/stable/userguide/periodic-tasks.html
"""

from __future__ import annotations

import functools
import time
from typing import Any

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import config
from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.recording.subclasses import derived, give, is_derived
from tachikoma_metrics.registry import METRICS

_SECONDS_BETWEEN_RECORDS = 1.0


class Watch:
    """What is known of one scheduler's entries."""

    def __init__(self) -> None:
        self.unsent: dict[str, float] = {}
        """When each entry that could not be sent was first to be sent, in Unix seconds."""

        self._recorded: set[str] = set()
        self._record_at = 0.0

    def record(self, scheduler: Any, now: float) -> None:
        """Record a look at the schedule, at most once a second."""
        METRICS.beat_last_tick_timestamp_seconds.set(now)
        if now < self._record_at:
            return
        self._record_at = now + _SECONDS_BETWEEN_RECORDS
        overdue = self._overdue(scheduler, now)
        gauge = METRICS.beat_entry_overdue_seconds
        for name, seconds in overdue.items():
            gauge.labels(name).set(seconds)
        for name in self._recorded - set(overdue):
            with suppress(KeyError):
                gauge.remove(name)
        self._recorded = set(overdue)

    def _overdue(self, scheduler: Any, now: float) -> dict[str, float]:
        """Return the seconds for which each entry has been due.

        The heap has the time at which each entry is due next; schedulers that keep none tell
        the entries alone.
        """
        overdue = dict.fromkeys(getattr(scheduler, "old_schedulers", None) or (), 0.0)
        for due_at, _, entry in getattr(scheduler, "_heap", None) or ():
            overdue[entry.name] = max(0.0, scheduler._when(entry, 0) - due_at)
        for name, failed_at in self.unsent.items():
            overdue[name] = max(overdue.get(name, 0.0), now - failed_at)
        return overdue


def watch(scheduler: Any) -> None:
    """Measure a scheduler from now on; twice changes nothing."""
    kind: Any = type(scheduler)
    if not is_derived(kind):
        METRICS.activate(catalogue.RECORDED_BY_BEAT)
        give(scheduler, _watched(kind, Watch()))


def _watched(original: Any, watch: Watch) -> Any:
    """Return a subclass of a scheduler's class that records what it does."""

    @functools.wraps(original.tick)
    def tick(scheduler: Any, *args: Any, **kwargs: Any) -> Any:
        seconds = super(watched, scheduler).tick(*args, **kwargs)
        try:
            if config().measures_tasks_of("celery"):
                watch.record(scheduler, time.time())
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

    watched: Any = derived(original, {"tick": tick, "apply_async": apply_async})
    return watched
