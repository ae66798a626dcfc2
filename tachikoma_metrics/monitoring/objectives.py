"""The objectives of a service, which the alerts are derived from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Objectives:
    """The limits of the alerts.

    ``availability`` is the percentage of requests that succeed in thirty days, ``slow_after``
    the seconds above which a request is slow, ``connections`` the limit of open database
    connections of a service, and ``queue_wait`` the seconds that a task may wait. ``commands``
    are the seconds within which each management command has to succeed again.

    Raises ``ValueError`` for a value out of range.
    """

    availability: float = 99.9
    slow_after: float = 1.0
    connections: int = 80
    queue_wait: float = 60.0
    commands: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._check_requests()
        self._check_tasks()

    def _check_requests(self) -> None:
        # Below 95, the highest burn rate would exceed all requests.
        if not 95 <= self.availability < 100:
            raise ValueError(
                "The objective should be a percentage of at least 95 and less than 100, such as "
                f"99.9; got {self.availability:g}."
            )
        if not 0 < self.slow_after < float("inf"):
            raise ValueError(
                f"The time after which a request is slow should be a positive number of seconds; "
                f"got {self.slow_after:g}."
            )
        if self.connections < 1:
            raise ValueError(
                f"The number of connections should be at least 1; got {self.connections}."
            )

    def _check_tasks(self) -> None:
        if not 0 < self.queue_wait < float("inf"):
            raise ValueError(
                "The time that a task may wait should be a positive number of seconds; got "
                f"{self.queue_wait:g}."
            )
        for name, seconds in self.commands.items():
            if not re.fullmatch(r"[\w-]+", name) or not 60 <= seconds < float("inf"):
                raise ValueError(
                    "A command should be its name and at least 60 seconds, such as "
                    f"clearsessions=90000; got {name}={seconds:g}."
                )

    @property
    def error_budget(self) -> float:
        """Return the share of requests that may fail."""
        return round(1 - self.availability / 100, 12)
