"""Metrics of the Python runtime: event loops and the garbage collector."""

from __future__ import annotations

from tachikoma_metrics.catalogue.definitions import Buckets, Histogram, Label

LAG_BUCKETS: Buckets = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
PAUSE_BUCKETS: Buckets = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)

GENERATION = Label(
    "generation", "The generation of objects that was collected, from `0`.", is_closed=True
)

ASGI_EVENT_LOOP_LAG = Histogram(
    "asgi_event_loop_lag_seconds",
    "Seconds by which a callback of an event loop ran late, probed every 100 ms.",
    buckets=LAG_BUCKETS,
    opt_in=True,
    recorded_by="every event loop that serves requests or WebSockets",
)
PYTHON_GC_PAUSE = Histogram(
    "python_gc_pause_seconds",
    "Seconds a run of Python's garbage collector took.",
    optional=(GENERATION,),
    buckets=PAUSE_BUCKETS,
    opt_in=True,
    recorded_by="every process",
)
