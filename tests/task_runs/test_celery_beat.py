"""What is recorded of the schedulers of Celery beat."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

pytest.importorskip("celery", reason="Celery is not installed")

from celery import Celery
from celery.beat import Scheduler

from tachikoma_metrics.task_runs.celery_beat import watch
from tachikoma_metrics.testing import sample_value, samples


class Broker:
    """Takes what a scheduler sends, or is away."""

    def __init__(self) -> None:
        self.is_away = False
        self.sent: list[str] = []

    def send(self, scheduler: Any, entry: Any, **_: Any) -> None:
        if self.is_away:
            raise OSError("connection refused")
        self.sent.append(entry.name)


@pytest.fixture
def broker() -> Broker:
    return Broker()


@pytest.fixture
def new_scheduler(broker: Broker) -> Callable[..., Any]:
    """Return a function that makes a scheduler of entries that are due each so many seconds."""

    class Sending(Scheduler):  # type: ignore[misc]
        producer = None

        def apply_async(self, entry: Any, *args: Any, **kwargs: Any) -> None:
            broker.send(self, entry)

    def new(**seconds: float) -> Any:
        app = Celery("shop", set_as_current=False)
        scheduler = Sending(app, schedule={})
        scheduler.update_from_dict(
            {name: {"task": name, "schedule": every} for name, every in seconds.items()}
        )
        watch(scheduler)
        return scheduler

    return new


def overdue() -> dict[str, float]:
    return {
        dict(labels)["entry"]: value
        for (name, labels), value in samples().items()
        if name == "beat_entry_overdue_seconds"
    }


def tick_until_idle(scheduler: Any) -> float:
    for _ in range(20):
        seconds = scheduler.tick()
        if seconds:
            return float(seconds)
    raise AssertionError("the scheduler has always more to send")


def make_due(scheduler: Any, name: str, seconds: float) -> None:
    """Move the last run of an entry back, so that it has been due for so many seconds."""
    entry = scheduler.schedule[name]
    every = entry.schedule.run_every.total_seconds()
    entry.last_run_at = scheduler.app.now() - timedelta(seconds=every + seconds)
    scheduler._heap = None


def test_entries_that_are_not_due_are_not_overdue(new_scheduler: Callable[..., Any]):
    began_at = time.time()
    tick_until_idle(new_scheduler(nightly=3600, often=60))

    assert overdue() == {"nightly": 0, "often": 0}
    assert (sample_value("beat_last_tick_timestamp_seconds") or 0) >= began_at


def test_entries_that_are_due_together_are_not_overdue_once_they_are_sent(
    new_scheduler: Callable[..., Any], broker: Broker
):
    scheduler = new_scheduler(one=60, two=60, three=60)
    for name in ("one", "two", "three"):
        make_due(scheduler, name, 5)
    tick_until_idle(scheduler)

    assert sorted(broker.sent) == ["one", "three", "two"]
    assert overdue() == {"one": 0, "two": 0, "three": 0}


def test_an_entry_is_overdue_until_it_is_sent(
    new_scheduler: Callable[..., Any], broker: Broker, monkeypatch: pytest.MonkeyPatch
):
    scheduler = new_scheduler(often=60, nightly=3600)
    make_due(scheduler, "often", 0)
    broker.is_away = True
    tick_until_idle(scheduler)
    later = time.time() + 90
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", lambda: later)
        tick_until_idle(scheduler)
        assert overdue() == {"nightly": 0, "often": pytest.approx(90, abs=5)}

    broker.is_away = False
    make_due(scheduler, "often", 0)
    tick_until_idle(scheduler)
    assert broker.sent == ["often"]
    assert overdue() == {"nightly": 0, "often": 0}


def test_an_entry_that_is_removed_is_no_longer_exported(
    new_scheduler: Callable[..., Any], broker: Broker
):
    scheduler = new_scheduler(often=60, nightly=3600)
    make_due(scheduler, "often", 0)
    broker.is_away = True
    tick_until_idle(scheduler)
    assert set(overdue()) == {"nightly", "often"}
    del scheduler.schedule["often"]
    tick_until_idle(scheduler)
    assert overdue() == {"nightly": 0}

    scheduler.schedule.clear()
    tick_until_idle(scheduler)
    assert overdue() == {}


def test_what_a_beat_before_has_exported_is_removed(new_scheduler: Callable[..., Any]):
    tick_until_idle(new_scheduler(weekly=3600, nightly=3600))
    tick_until_idle(new_scheduler(nightly=3600))

    assert overdue() == {"nightly": 0}


class Foreign:
    """A scheduler that has none of the private names of Celery's."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def tick(self) -> float:
        return 5.0

    def apply_async(self, entry: Any) -> str:
        if self.error is not None:
            raise self.error
        return "sent"


@pytest.mark.parametrize(
    "private",
    [{}, {"_heap": None}, {"_heap": [1]}, {"_heap": [(0, 0, object())]}, {"old_schedulers": 3}],
    ids=str,
)
def test_a_scheduler_without_celerys_private_names_has_its_ticks_recorded(private: dict[str, Any]):
    scheduler = Foreign()
    vars(scheduler).update(private)
    watch(scheduler)

    assert scheduler.tick() == 5
    assert overdue() == {}
    assert (sample_value("beat_last_tick_timestamp_seconds") or 0) > 0
    assert sample_value("tachikoma_metrics_errors_total", source="task") in (None, 0)


def test_a_foreign_scheduler_has_entries_that_could_not_be_sent():
    scheduler, entry = Foreign(), type("Entry", (), {"name": "often"})()
    watch(scheduler)
    scheduler.error = OSError("connection refused")
    with pytest.raises(OSError, match="connection refused"):
        scheduler.apply_async(entry)
    scheduler.tick()
    assert set(overdue()) == {"often"}

    scheduler.error = None
    assert scheduler.apply_async(entry) == "sent"
    scheduler.tick()
    assert overdue() == {}


def test_a_scheduler_keeps_its_class_and_is_measured_once(new_scheduler: Callable[..., Any]):
    scheduler = new_scheduler(nightly=3600)
    kind = type(scheduler)
    watch(scheduler)

    assert type(scheduler) is kind
    assert isinstance(scheduler, Scheduler)
    assert scheduler.__class__.__name__ == "Sending"


def test_nothing_is_recorded_of_a_beat_if_tasks_are_not_measured(
    new_scheduler: Callable[..., Any], settings
):
    scheduler = new_scheduler(nightly=3600)
    settings.TACHIKOMA_METRICS = {"TASKS": ["django"]}
    tick_until_idle(scheduler)
    settings.TACHIKOMA_METRICS = {}

    assert overdue() == {}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"DISABLED_METRICS": ["beat_entry_overdue_seconds"]}, None),
        ({"LABELS": {"beat_entry_overdue_seconds": []}}, 0),
    ],
    ids=["disabled", "without its label"],
)
def test_the_settings_of_a_metric_hold_for_entries(
    new_scheduler: Callable[..., Any], settings, options: dict[str, Any], expected: float | None
):
    settings.TACHIKOMA_METRICS = options
    tick_until_idle(new_scheduler(nightly=3600, often=60))

    assert sample_value("beat_entry_overdue_seconds") == expected
    assert sample_value("tachikoma_metrics_errors_total", source="task") in (None, 0)
