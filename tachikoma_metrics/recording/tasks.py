"""Runs of tasks and of management commands, as events."""

from __future__ import annotations

import time

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue import tasks
from tachikoma_metrics.catalogue.definitions import Gauge
from tachikoma_metrics.registry import METRICS, Event

TASK_SEND = Event("task", ("task", "queue"), catalogue.TASK_SENDS)
"""A task that was sent to a queue: the amount is 1."""

TASK_RUN = Event(
    "task",
    ("task", "queue", "outcome", "error_type"),
    catalogue.TASK_RUNS,
    catalogue.TASK_RUN_DURATION,
    in_progress=catalogue.TASK_RUNS_IN_PROGRESS,
    closed_label="outcome",
    variants=lambda known: [(*known[:2], outcome, "") for outcome in tasks.USUAL_OUTCOMES],
)
"""A run of a task: its amounts are 1 and seconds, ``UNKNOWN`` if nobody saw it begin."""

TASK_WAIT = Event(
    "task",
    ("queue", "task"),
    catalogue.TASK_QUEUE_WAIT,
    in_progress=catalogue.TASK_RUNS_IN_PROGRESS,
)
"""A task that starts: the amount is the seconds since it could have started."""

COMMAND_RUN = Event(
    "command",
    ("command", "outcome"),
    catalogue.COMMAND_RUNS,
    catalogue.COMMAND_RUN_DURATION,
    closed_label="outcome",
    variants=lambda known: [(known[0], outcome) for outcome in (tasks.SUCCESS, tasks.FAILURE)],
)
"""A run of a management command: its amounts are 1 and seconds."""


def record_success(gauge: Gauge, name: str) -> None:
    """Set ``gauge`` to the present time for the task or command ``name``, if it is on."""
    bound = METRICS.bound(gauge.name)
    if bound.is_on and bound.shape.label_names:
        bound.metric.labels(name).set(time.time())
