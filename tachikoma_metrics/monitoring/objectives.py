"""The objectives of a service, which the alerts are derived from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Objectives:
    """The limits of the alerts.

    ``availability`` is the percentage of requests that succeed in thirty days, ``slow_after``
    the seconds above which a request is slow, and ``connections`` the limit of open database
    connections of a service.

    Raises ``ValueError`` for a value out of range.
    """

    availability: float = 99.9
    slow_after: float = 1.0
    connections: int = 80

    def __post_init__(self) -> None:
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

    @property
    def error_budget(self) -> float:
        """Return the share of requests that may fail."""
        return round(1 - self.availability / 100, 12)
