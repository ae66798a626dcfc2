"""How well a service is to do: what the alerts measure it by."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Objectives:
    """Say from when on somebody has to be told.

    ``availability`` is the percentage of requests that are not to fail in thirty days;
    ``slow_after`` the seconds after which a request is slow, and ``connections`` the open
    database connections of a service that are too many.

    Raises ``ValueError``, which says what it should be, for what makes no sense.
    """

    availability: float = 99.9
    slow_after: float = 1.0
    connections: int = 80

    def __post_init__(self) -> None:
        # Below, the fastest burn would be of more requests than there are.
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
    def budget(self) -> float:
        """Return the share of requests that may fail."""
        return round(1 - self.availability / 100, 12)
