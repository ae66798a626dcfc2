"""Upstream APIs whose clients are instrumented: their metrics are exposed before any request.

Clients are instrumented when modules are imported, as by the master process of a server, which is
to claim no file for it. So the series are initialized with the first change of a value.
"""

from __future__ import annotations

from tachikoma_metrics import catalogue
from tachikoma_metrics.interruptions import suppress
from tachikoma_metrics.recording.events import BACKEND_ERROR
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE

_announced: set[str] = set()


def announce(backend: str) -> None:
    """Expose the metrics of requests to ``backend`` from now on. Never raises."""
    try:
        METRICS.activate(catalogue.RECORDED_BY_BACKENDS)
        _announced.add(backend)
    except Exception as error:
        METRICS.count_error("backend", error)


def _initialize_later() -> None:
    if _announced:
        STORE.afterwards(_initialize_error_types)


def _initialize_error_types() -> None:
    with suppress(KeyError):
        while True:
            BACKEND_ERROR.initialize((_announced.pop(),))


STORE.on_maintenance(_initialize_later)
