"""How the gauges of several processes become one, by prometheus_client's modes.

https://prometheus.github.io/client_python/multiprocess/#metrics-tuning-gauge

``live`` modes cover the live processes; the others include the values of processes that have
ended. A gauge without a mode behaves as in one process: it is the sum over the live processes if
any of them uses ``inc`` or ``dec``, otherwise the value that was set last.

Some gauges count operations in progress and name a counter of those that were lost: when a
process dies, its operations in progress are moved from the gauge to the counter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import add
from typing import NamedTuple

from tachikoma_metrics.store.layout import (
    GAUGE,
    LEFT_SET_AT,
    LEFT_VALUE,
    LIVESUM_OF_SET,
    SET_AT,
    VALUE,
    WAS_CHANGED,
    Declaration,
    Series,
)

BY_WORKER = frozenset({"all", "liveall"})
"""Modes with a sample for each process."""


class Part(NamedTuple):
    """The values of a gauge's label set in one file."""

    slot: int
    is_held: bool
    values: Sequence[float]

    @property
    def is_set(self) -> bool:
        """Return whether the file's last holder gave the gauge a value."""
        return self.values[SET_AT] != 0


def merged(mode: str, parts: Sequence[Part]) -> float | None:
    """Return the value of a gauge; None if there is none."""
    if not parts:
        return None
    if mode == "livesum" or (mode == "" and any(part.values[WAS_CHANGED] for part in parts)):
        return sum((part.values[VALUE] for part in parts if part.is_held), 0.0)
    if mode == LIVESUM_OF_SET:
        known = [part.values[VALUE] for part in parts if part.is_held and part.is_set]
        return sum(known) if known else None
    if mode == "sum":
        return sum((part.values[VALUE] + part.values[LEFT_VALUE] for part in parts), 0.0)
    if mode in ("livemin", "livemax"):
        live = [part.values[VALUE] for part in parts if part.is_held and part.is_set]
        return _extreme(mode, live)
    if mode in ("min", "max"):
        return _extreme(mode, [value for value, _ in _known(parts)])
    if mode == "livemostrecent":
        parts = [part for part in parts if part.is_held]
    return _latest(_known(parts))


def by_worker(mode: str, parts: Sequence[Part]) -> dict[int, float]:
    """Return the values of a gauge by the numbers of the files."""
    values = {}
    for part in parts:
        if part.is_set and (part.is_held or mode == "all"):
            values[part.slot] = part.values[VALUE]
        elif part.values[LEFT_SET_AT] and mode == "all":
            values[part.slot] = part.values[LEFT_VALUE]
    return values


def left_behind(mode: str, values: Sequence[float]) -> list[float]:
    """Return what the next holder of a file writes in place of the former holder's values."""
    value, set_at, was_changed, left_value, left_set_at = values
    if mode.startswith("live") or (mode == "" and was_changed) or not set_at:
        kept = (left_value, left_set_at) if not mode.startswith("live") else (0.0, 0.0)
        return [0.0, 0.0, 0.0, *kept]
    if mode == "sum":
        return [0.0, 0.0, 0.0, left_value + value, set_at]
    if mode in ("min", "max") and left_set_at:
        value = min(value, left_value) if mode == "min" else max(value, left_value)
    return [0.0, 0.0, 0.0, value, set_at]


def lost(values: Sequence[float], is_held: bool) -> float:
    """Return how many operations were in progress in the former holders of a file.

    For a gauge with a counter of these, ``LEFT_VALUE`` is their number, and ``LEFT_SET_AT`` the
    same number, written first.
    """
    if values[LEFT_VALUE] != values[LEFT_SET_AT]:
        # The process that took over the file died before the last of these steps.
        return values[LEFT_SET_AT]
    if is_held or not values[VALUE] > 0:
        return values[LEFT_VALUE]
    return values[LEFT_VALUE] + values[VALUE]


def steps_to_count_as_lost(values: Sequence[float]) -> list[tuple[int, float]]:
    """Return the places and values to write so that the operations in progress count as lost.

    A process may be killed between any two of these steps: ``lost`` returns the same number
    before the first, after each of them, and after they were started again.
    """
    total = lost(values, is_held=False)
    return [(LEFT_SET_AT, total), (VALUE, 0.0), (LEFT_VALUE, total)]


def remaining(series: Series, values: Sequence[float]) -> list[tuple[Series, list[float]]]:
    """Return what remains of a record if no process takes over the file of a dead process.

    Totals remain as they are, and gauges as ``left_behind`` returns; of a gauge that names a
    counter of lost operations, that counter remains.
    """
    declaration = series.declaration
    if declaration.lost:
        total = lost(values, is_held=False)
        return [(Series(declaration.counter_of_lost, series.labels), [total])]
    if declaration.type == GAUGE:
        return [(series, left_behind(declaration.mode, values))]
    return [(series, list(values))]


def absorbed(declaration: Declaration, own: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return the values of a record after its process has moved values from another file.

    ``own`` are those in the file that was claimed, where the process has set nothing yet.
    """
    later = max(own[SET_AT], other[SET_AT])
    left = [own[LEFT_VALUE], own[LEFT_SET_AT]]
    if other[LEFT_SET_AT] > left[1]:
        left = [other[LEFT_VALUE], other[LEFT_SET_AT]]
    if declaration.lost:
        total = lost(own, is_held=True) + lost(other, is_held=True)
        left = [total, total]
    changed = max(own[WAS_CHANGED], other[WAS_CHANGED])
    return [own[VALUE] + other[VALUE], later, changed, *left]


def both_left(mode: str, one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return the record for two files whose holders have ended."""
    left, left_at = one[LEFT_VALUE], one[LEFT_SET_AT]
    value, set_at = other[LEFT_VALUE], other[LEFT_SET_AT]
    if not (left_at and set_at):
        kept = [left, left_at] if left_at else [value, set_at]
    elif mode in _COMBINED:
        kept = [_COMBINED[mode](left, value), max(left_at, set_at)]
    else:
        kept = [left, left_at] if left_at > set_at else [value, set_at]
    return [0.0, 0.0, 0.0, *kept]


_COMBINED: dict[str, Callable[[float, float], float]] = {"sum": add, "min": min, "max": max}
"""How the remaining values are merged; in other modes, the value that was set last counts."""


def _known(parts: Sequence[Part]) -> list[tuple[float, float]]:
    """Return values with the time at which they were set."""
    known = [(part.values[VALUE], part.values[SET_AT]) for part in parts]
    known += [(part.values[LEFT_VALUE], part.values[LEFT_SET_AT]) for part in parts]
    return [(value, set_at) for value, set_at in known if set_at]


def _latest(known: list[tuple[float, float]]) -> float | None:
    return max(known, key=lambda pair: pair[1])[0] if known else None


def _extreme(mode: str, values: list[float]) -> float | None:
    if not values:
        return None
    return min(values) if mode.endswith("min") else max(values)
