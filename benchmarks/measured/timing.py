"""Seconds of CPU, of all threads of this process."""

from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable

Work = Callable[[], object]
Prepare = Callable[[], Work]


def stay_on_one_cpu() -> None:
    """Keep this process where it is: moving, and waking a thread elsewhere, is noise."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def cpu_seconds(prepare: Prepare) -> float:
    """Return what the prepared work takes, with garbage collection as Python has it."""
    work = prepare()
    gc.collect()
    started_at = time.process_time()
    work()
    return time.process_time() - started_at


def added(bare: Prepare, measured: Prepare, repeats: int) -> float:
    """Return what ``measured`` takes longer than ``bare``.

    The two by turns, in one process, so that both meet the same machine; the least of
    each, for whatever disturbs a measurement only adds to it.
    """
    for prepare in (bare, measured):
        prepare()()
    # What is there by now stays, and need not be looked through before each repeat.
    gc.freeze()
    pairs = [(cpu_seconds(bare), cpu_seconds(measured)) for _ in range(repeats)]
    return min(pair[1] for pair in pairs) - min(pair[0] for pair in pairs)
