"""What a Celery message says: its queue, and since when its task could have started.

The publisher stamps each message with one header of this package. A worker that does not know
it ignores it; a message without it is counted under its routing key, and its wait is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from time import time, time_ns
from typing import Any

from tachikoma_metrics.registry import UNKNOWN

HEADER = "tachikoma_metrics"

EAGER = "eager"
"""Stands for the queue of a task that was called in the caller's process."""


STARTED_AT = "_tachikoma_metrics_started_at"
"""The attribute of a request's context with the Unix time at which a terminated run began."""


MICROSECONDS = "e-6 "
"""Stands between the time and the queue of a stamp: as a whole, the time is one in seconds.

Integers are written and read several times as fast as numbers with a fraction."""


def stamp(headers: dict[str, Any], queue: str) -> None:
    """Write the queue and the time into the headers of a message that is about to be sent."""
    headers[HEADER] = f"{time_ns() // 1000}{MICROSECONDS}{queue}"


def queue_of_publication(declare: Any, routing_key: Any) -> str:
    """Return the name of the queue that a message is sent to, else its routing key."""
    if declare:
        return str(declare[0].name)
    return str(routing_key or "")


def stamped_queue(headers: Mapping[str, Any]) -> str | None:
    """Return the queue that the publisher stamped the message with, if it did."""
    header = headers.get(HEADER)
    return header.partition(" ")[2] if isinstance(header, str) else None


def queue_of_delivery(headers: Mapping[str, Any], delivery_info: Any) -> str:
    """Return the queue that a message was stamped with, else the routing key it came with."""
    queue = stamped_queue(headers)
    if queue is None:
        queue = str((delivery_info or {}).get("routing_key") or "")
    return queue


def queue_and_wait(request: Mapping[str, Any]) -> tuple[str, float]:
    """Return the queue of a task that starts, and the seconds since it could have started.

    These are at least 0, and ``UNKNOWN`` without a stamp. A task with a countdown, which each
    retry has, could start at its ``eta``. The clocks of two hosts may differ: a task that seems
    to start before it was sent has waited 0 seconds.
    """
    header = request.get(HEADER)
    if not isinstance(header, str):
        return queue_of_delivery({}, request.get("delivery_info")), UNKNOWN
    sent_at, _, queue = header.partition(" ")
    try:
        could_start_at = float(sent_at)
    except ValueError:
        # Something else has a header of that name.
        return queue_of_delivery({}, request.get("delivery_info")), UNKNOWN
    eta = request.get("eta")
    if eta:
        could_start_at = max(could_start_at, _timestamp(eta))
    waited = time() - could_start_at
    return queue, waited if waited > 0 else 0.0


def _timestamp(eta: Any) -> float:
    moment = (
        eta if isinstance(eta, datetime) else datetime.fromisoformat(eta.replace("Z", "+00:00"))
    )
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)
    return moment.timestamp()
