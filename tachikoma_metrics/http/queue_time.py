"""The seconds a request waited between the proxy and the middleware.

The proxy notes when it received a request in ``X-Request-Start`` or ``X-Queue-Start``, in seconds,
milliseconds or microseconds since the Unix epoch. A client can send these headers, too, so the
proxy must replace them.
"""

from __future__ import annotations

import re
import time

from django.http import HttpRequest

from tachikoma_metrics.catalogue import HTTP_REQUEST_QUEUE
from tachikoma_metrics.conf import config
from tachikoma_metrics.recording.events import HTTP_REQUEST_QUEUED
from tachikoma_metrics.registry import METRICS

_LONGEST_WAIT = 3600.0
_HEADERS = ("HTTP_X_REQUEST_START", "HTTP_X_QUEUE_START")
_TIMESTAMP = re.compile(r"(?:t=)?([0-9]{1,17}(?:\.[0-9]{0,9})?)", re.ASCII)
_UNITS = ((1e14, 1e6), (1e11, 1e3))
"""A timestamp above the first number is in the unit of which a second has the other number.

In the years 1973 to 5138, a timestamp in one unit is outside the range of the next one.
"""


def record_queue_time(request: HttpRequest) -> None:
    """Record how long ``request`` waited, if its proxy noted a valid time. Never raises."""
    try:
        if config().is_extra(HTTP_REQUEST_QUEUE):
            seconds = queue_time(_header(request), time.time())
            if seconds is not None:
                HTTP_REQUEST_QUEUED.record_valid((), (seconds,))
    except Exception as error:
        METRICS.count_error("http", error)


def _header(request: HttpRequest) -> str:
    for name in _HEADERS:
        if name in request.META:
            return str(request.META[name])
    return ""


def queue_time(header: str, now: float) -> float | None:
    """Return the seconds between the time in ``header`` and ``now``, in Unix seconds.

    Returns None unless they are between zero and an hour: then the header is no timestamp, or
    the clocks of the two hosts differ.
    """
    found = _TIMESTAMP.fullmatch(header.strip())
    if found is None:
        return None
    seconds = now - _in_seconds(float(found[1]))
    return seconds if 0 <= seconds <= _LONGEST_WAIT else None


def _in_seconds(timestamp: float) -> float:
    for above, in_a_second in _UNITS:
        if timestamp > above:
            return timestamp / in_a_second
    return timestamp
