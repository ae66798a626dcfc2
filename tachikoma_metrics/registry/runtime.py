"""The process and garbage collector metrics of prometheus_client, over all processes."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence

from prometheus_client import Metric
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily

from tachikoma_metrics.store import STORE, Cell, Declaration, Reading, Series
from tachikoma_metrics.store.system import Usage, namespace, usage_of

_GC = {
    "collected": ("python_gc_objects_collected", "Objects collected during gc"),
    "uncollectable": ("python_gc_objects_uncollectable", "Uncollectable objects found during GC"),
    "collections": ("python_gc_collections", "Number of times this generation was collected"),
}

GC_FAMILIES = {
    fact: Declaration("counter", name, help_, labels=("generation",), is_builtin=True)
    for fact, (name, help_) in _GC.items()
}
"""The metrics of prometheus_client's ``GCCollector``, by their key in ``gc.get_stats``."""

_gc_cells = {
    (generation, fact): Cell(Series(declaration, (str(generation),)))
    for fact, declaration in GC_FAMILIES.items()
    for generation in range(len(gc.get_stats()))
}
_gc_counted = dict.fromkeys(_gc_cells, 0)


_exposed_seconds: dict[tuple[object, ...], float] = {}
"""The CPU seconds of each process that this process exposed last."""


def count_collections() -> None:
    """Count what the garbage collector has done since the last call."""
    for key, total in _gc_totals():
        _gc_cells[key].inc(total - _gc_counted[key])
        _gc_counted[key] = total


def leave_collections_to_parent() -> None:
    """Count from now on, in a forked child: the parent counts what was before."""
    _gc_counted.update(_gc_totals())


def _gc_totals() -> Iterator[tuple[tuple[int, str], int]]:
    for generation, facts in enumerate(gc.get_stats()):
        for fact in GC_FAMILIES:
            yield (generation, fact), facts[fact]


def process_families(readings: Sequence[Reading]) -> Iterable[Metric]:
    """Return the ``process_*`` metrics, summed over the live processes.

    CPU seconds include those of processes that have exited. Of a process in another container,
    whose directory is shared, nothing else is known.
    https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
    """
    found = list(map(_usage, readings))
    usages = [usage for _, usage in found if usage is not None]
    if usages:
        yield from _gauges(usages)
    # Values that were exposed are remembered: the total must not fall when a process exits, nor
    # when no file descriptor is left to read its usage or to store it.
    seconds = {reading: _cpu_seconds(reading, usage) for reading, usage in found}
    _exposed_seconds.clear()
    _exposed_seconds.update((_holder(reading), cpu) for reading, cpu in seconds.items())
    STORE.note_cpu((r, cpu) for r, cpu in seconds.items() if cpu > r.header.cpu_seen)
    yield CounterMetricFamily(
        "process_cpu_seconds",
        "Total user and system CPU time spent in seconds.",
        value=sum(reading.header.cpu_left + cpu for reading, cpu in seconds.items()),
    )


def _usage(reading: Reading) -> tuple[Reading, Usage | None]:
    header = reading.header
    is_near = reading.is_held and header.pid and header.namespace == namespace()
    return reading, usage_of(header.pid, header.started) if is_near else None


def _cpu_seconds(reading: Reading, usage: Usage | None) -> float:
    known = max(reading.header.cpu_seen, _exposed_seconds.get(_holder(reading), 0.0))
    return known if usage is None else max(known, usage.cpu_seconds)


def _holder(reading: Reading) -> tuple[object, ...]:
    return (*reading.identity, reading.header.claimed_at)


def _gauges(usages: list[Usage]) -> Iterator[Metric]:
    sums = {
        "virtual_memory_bytes": ("Virtual memory size in bytes.", "virtual_bytes"),
        "resident_memory_bytes": ("Resident memory size in bytes.", "resident_bytes"),
        "open_fds": ("Number of open file descriptors.", "open_fds"),
        "max_fds": ("Maximum number of open file descriptors.", "max_fds"),
    }
    for name, (help_, fact) in sums.items():
        values = [getattr(usage, fact) for usage in usages]
        if None not in values:
            yield GaugeMetricFamily(f"process_{name}", help_, value=sum(values))
    yield GaugeMetricFamily(
        "process_start_time_seconds",
        "Start time of the oldest process since unix epoch in seconds.",
        value=min(usage.started_at for usage in usages),
    )
