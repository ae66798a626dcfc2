"""The pauses of Python's garbage collector, which calls ``gc.callbacks`` before and after each run.

https://docs.python.org/3/library/gc.html#gc.callbacks
"""

from __future__ import annotations

import gc
from time import perf_counter
from typing import Any

from tachikoma_metrics.catalogue import PYTHON_GC_PAUSE
from tachikoma_metrics.conf import config, on_change
from tachikoma_metrics.recording.events import GC_RUN
from tachikoma_metrics.registry import METRICS

_began_at: float | None = None


def install() -> None:
    """Measure each run of the garbage collector while the metric is on."""
    on_change(_follow_settings)
    _follow_settings()


def _follow_settings() -> None:
    try:
        is_on = config().is_extra(PYTHON_GC_PAUSE)
        if is_on and _measure not in gc.callbacks:
            gc.callbacks.append(_measure)
            METRICS.activate({PYTHON_GC_PAUSE.name})
        elif not is_on and _measure in gc.callbacks:
            gc.callbacks.remove(_measure)
    except Exception as error:
        METRICS.count_error("gc", error)


# One run at a time: the collector does not start another before the last callback has returned.
def _measure(phase: str, info: dict[str, Any]) -> None:
    global _began_at
    if phase == "start":
        _began_at = perf_counter()
    elif _began_at is not None:
        now = perf_counter()
        GC_RUN.record_valid((str(info["generation"]),), (now - _began_at,), None, now)
        _began_at = None
