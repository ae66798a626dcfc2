"""Measurements of CPU time, of all threads of this process."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator

Work = Callable[[], object]
Prepare = Callable[[], Work]
Steps = Callable[[int], Iterator[float]]


def stay_on_one_cpu() -> None:
    """Pin this process to one CPU: migration between CPUs adds noise."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def cpu_seconds(prepare: Prepare) -> float:
    """Return the CPU seconds of the prepared work, with garbage collection enabled."""
    return _seconds(prepare, time.process_time)


def _seconds(prepare: Prepare, timer: Callable[[], float]) -> float:
    work = prepare()
    gc.collect()
    started_at = timer()
    work()
    return timer() - started_at


def added(bare: Prepare, measured: Prepare, repeats: int) -> float:
    """Return the CPU seconds that ``measured`` adds to ``bare``.

    Both alternate in one process, under the same conditions. The minimum of each is used, because
    a disturbance only adds to it.
    """
    pairs = _alternate(bare, measured, repeats)
    return min(pair[1] for pair in pairs) - min(pair[0] for pair in pairs)


def added_while_waiting(bare: Prepare, measured: Prepare, repeats: int) -> float:
    """Return the CPU seconds that ``measured`` adds to ``bare``, both of which wait for a server.

    The CPU of the server's process changes the cost of waiting for a while. The median of pairs is
    used, whose two measurements have the same conditions.
    """
    pairs = _alternate(bare, measured, repeats)
    return statistics.median(pair[1] - pair[0] for pair in pairs)


def added_in_steps(bare: Steps, measured: Steps, between: Work, repeats: int) -> float:
    """Return the CPU seconds that ``measured`` adds to ``bare``, both of which take steps.

    Both yield the seconds of each step, and ``between`` is called before it. What a step costs
    differs from turn to turn, so the median of pairs is used, whose two take the same steps.
    """
    gc.collect()
    gc.freeze()
    pairs = []
    for turn in range(repeats):
        both = [bare, measured] if turn % 2 else [measured, bare]
        seconds = {one: _seconds_of_steps(one, turn, between) for one in both}
        pairs.append(seconds[measured] - seconds[bare])
    return statistics.median(pairs)


def _seconds_of_steps(steps: Steps, turn: int, between: Work) -> float:
    gc.collect()
    seconds = 0.0
    between()
    for step in steps(turn):
        seconds += step
        between()
    return seconds


def _alternate(bare: Prepare, measured: Prepare, repeats: int) -> list[tuple[float, float]]:
    for prepare in (bare, measured):
        prepare()()
    # gc.collect() before each repeat then skips the existing objects.
    gc.freeze()
    return [(cpu_seconds(bare), cpu_seconds(measured)) for _ in range(repeats)]


def clock_seconds(prepare: Prepare, repeats: int) -> float:
    """Return the median of the elapsed seconds of the prepared work."""
    return statistics.median(_seconds(prepare, time.perf_counter) for _ in range(repeats))
