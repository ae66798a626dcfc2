"""One run of a task, whichever task system runs it."""

from __future__ import annotations

from tachikoma_metrics import catalogue
from tachikoma_metrics.registry import METRICS, Progress


class Run(Progress):
    """A run of a task: in progress from its beginning to its end.

    ``started_at`` is the time of ``perf_counter``; ``outer`` is a run of the same task that
    has not ended.
    """

    __slots__ = ("outer", "queue", "started_at")

    def __init__(self, queue: str, started_at: float) -> None:
        super().__init__()
        self.outer: Run | None = None
        self.queue = queue
        self.started_at = started_at


def record_success(task: str, ended_at: float) -> None:
    """Set the time, in Unix seconds, of a task's last success, if that metric is switched on."""
    bound = METRICS.bound(catalogue.TASK_LAST_SUCCESS_TIMESTAMP.name)
    if bound.is_on and bound.shape.label_names:
        bound.metric.labels(task).set(ended_at)
