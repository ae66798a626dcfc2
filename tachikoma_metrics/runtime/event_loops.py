"""The lag of each event loop that serves: how late the loop runs a callback that is due.

A timer in the loop is due every 100 ms. The time by which it runs late is the time that a request
would have waited for the loop. The loop drops the timer when it is closed.
"""

from __future__ import annotations

import asyncio
import os
import weakref
from contextvars import Context
from time import perf_counter

from asgiref.sync import SyncToAsync

from tachikoma_metrics.catalogue import ASGI_EVENT_LOOP_LAG
from tachikoma_metrics.conf import config
from tachikoma_metrics.recording.events import EVENT_LOOP_PROBE
from tachikoma_metrics.registry import METRICS

_SECONDS_BETWEEN_PROBES = 0.1

_probed: weakref.WeakSet[asyncio.AbstractEventLoop] = weakref.WeakSet()
"""The event loops that have a timer."""


def probe_serving_loop() -> None:
    """Measure the lag of the event loop that serves here from now on, if it is on. Never raises."""
    try:
        if config().is_extra(ASGI_EVENT_LOOP_LAG):
            loop = _serving_loop()
            if loop is not None and loop not in _probed:
                # Not in the context of this request, which would live as long as the loop.
                loop.call_soon_threadsafe(_start, loop, context=Context())
    except Exception as error:
        METRICS.count_error("event_loop", error)


def _serving_loop() -> asyncio.AbstractEventLoop | None:
    """Return the running loop, else the one for which asgiref runs code in this thread.

    The latter serves if one of the project's middlewares is not asynchronous.
    """
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        local = SyncToAsync.threadlocal
        loop: asyncio.AbstractEventLoop | None = getattr(local, "main_event_loop", None)
        is_inherited = getattr(local, "main_event_loop_pid", None) != os.getpid()
        # It stays there after it was closed.
        return None if loop is None or is_inherited or not loop.is_running() else loop


def _start(loop: asyncio.AbstractEventLoop) -> None:
    """Probe ``loop``, which calls this, unless it is probed: several threads may ask for it."""
    if loop not in _probed:
        due = perf_counter() + _SECONDS_BETWEEN_PROBES
        loop.call_later(_SECONDS_BETWEEN_PROBES, _probe, loop, due, context=Context())
        _probed.add(loop)
        METRICS.activate({ASGI_EVENT_LOOP_LAG.name})


def _probe(loop: asyncio.AbstractEventLoop, due: float) -> None:
    try:
        now = perf_counter()
        _probed.discard(loop)
        if config().is_extra(ASGI_EVENT_LOOP_LAG):
            _start(loop)
            # A loop may run a timer earlier by the resolution of its clock.
            EVENT_LOOP_PROBE.record_valid((), (max(now - due, 0.0),), None, now)
    except Exception as error:
        METRICS.count_error("event_loop", error)
