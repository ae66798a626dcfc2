"""One run of a task, whichever task system runs it."""

from __future__ import annotations

from tachikoma_metrics.registry import Progress


class Run(Progress):
    """A run of a task: in progress from its beginning to its end.

    ``started_at`` is the time of ``perf_counter``.
    """

    __slots__ = ("queue", "started_at")

    def __init__(self, queue: str, started_at: float) -> None:
        super().__init__()
        self.queue = queue
        self.started_at = started_at
