"""What became of a push."""

from __future__ import annotations

from typing import NamedTuple

from tachikoma_metrics.catalogue.own_health import PUSH_OUTCOMES

SUCCESS, PARTIAL, THROTTLED, REJECTED, ERROR, UNREACHABLE, INCOMPLETE = PUSH_OUTCOMES


class Outcome(NamedTuple):
    """One of ``PUSH_OUTCOMES``, why, and the seconds for which the receiver wants no more."""

    name: str
    reason: str = ""
    retry_after: float = 0.0
