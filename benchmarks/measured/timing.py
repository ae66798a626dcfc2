"""Seconds of CPU, of all threads of this process."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable

Work = Callable[[], object]
Prepare = Callable[[], Work]


def stay_on_one_cpu() -> None:
    """Keep this process where it is: moving, and waking a thread elsewhere, is noise."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def cpu_seconds(prepare: Prepare) -> float:
    """Return what the prepared work takes, with garbage collection as Python has it."""
    return _seconds(prepare, time.process_time)


def _seconds(prepare: Prepare, timer: Callable[[], float]) -> float:
    work = prepare()
    gc.collect()
    started_at = timer()
    work()
    return timer() - started_at


def added(bare: Prepare, measured: Prepare, repeats: int) -> float:
    """Return what ``measured`` takes longer than ``bare``.

    The two by turns, in one process, so that both meet the same machine; the least of
    each, for whatever disturbs a measurement only adds to it.
    """
    pairs = _by_turns(bare, measured, repeats)
    return min(pair[1] for pair in pairs) - min(pair[0] for pair in pairs)


def added_beside_waiting(bare: Prepare, measured: Prepare, repeats: int) -> float:
    """Return what ``measured`` takes longer than ``bare``, both of which wait for a server.

    That makes them dearer or cheaper for a while, by the CPU on which the server runs: the
    median of pairs, each of which met the same.
    """
    pairs = _by_turns(bare, measured, repeats)
    return statistics.median(pair[1] - pair[0] for pair in pairs)


def _by_turns(bare: Prepare, measured: Prepare, repeats: int) -> list[tuple[float, float]]:
    for prepare in (bare, measured):
        prepare()()
    # What is there by now stays, and need not be looked through before each repeat.
    gc.freeze()
    return [(cpu_seconds(bare), cpu_seconds(measured)) for _ in range(repeats)]


def clock_seconds(prepare: Prepare, repeats: int) -> float:
    """Return what the prepared work takes by the clock, the median."""
    return statistics.median(_seconds(prepare, time.perf_counter) for _ in range(repeats))
