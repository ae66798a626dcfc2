"""How the gauges of several processes become one, by prometheus_client's modes.

https://prometheus.github.io/client_python/multiprocess/#metrics-tuning-gauge

``live`` modes know the processes that live; the others remember what those left that
are over. Without a mode, a gauge is what it is in one process: the sum over the living
if anybody counts with it, else what was set last.

Some gauges count what is in progress and name a counter of what was lost: when a process
dies, what it had in progress moves from the gauge to the counter.
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
"""Modes that have a sample for each process."""


class Part(NamedTuple):
    """What one file knows of a gauge's label set."""

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
        living = [part.values[VALUE] for part in parts if part.is_held and part.is_set]
        return _extreme(mode, living)
    if mode in ("min", "max"):
        return _extreme(mode, [value for value, _ in _known(parts)])
    if mode == "livemostrecent":
        parts = [part for part in parts if part.is_held]
    return _latest(_known(parts))


def by_worker(mode: str, parts: Sequence[Part]) -> dict[int, float]:
    """Return the values of a gauge by the number of the file."""
    values = {}
    for part in parts:
        if part.is_set and (part.is_held or mode == "all"):
            values[part.slot] = part.values[VALUE]
        elif part.values[LEFT_SET_AT] and mode == "all":
            values[part.slot] = part.values[LEFT_VALUE]
    return values


def left_behind(mode: str, values: Sequence[float]) -> list[float]:
    """Return what becomes of a record when another process takes the file over."""
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
    """Return how many were in progress in the processes that held a file, and died.

    Of a gauge that has a counter of these, ``LEFT_VALUE`` is the number of the earlier
    holders, and ``LEFT_SET_AT`` the same number, written first.
    """
    if values[LEFT_VALUE] != values[LEFT_SET_AT]:
        # Whoever took the file over died before all steps of ``handing_over`` were made.
        return values[LEFT_SET_AT]
    if is_held or not values[VALUE] > 0:
        return values[LEFT_VALUE]
    return values[LEFT_VALUE] + values[VALUE]


def handing_over(values: Sequence[float]) -> list[tuple[int, float]]:
    """Return the places and values to write so that what was in progress is lost.

    A process may be killed between any two of these steps: ``lost`` returns the same number
    before the first, after each of them, and after they were begun again.
    """
    total = lost(values, is_held=False)
    return [(LEFT_SET_AT, total), (VALUE, 0.0), (LEFT_VALUE, total)]


def remaining(series: Series, values: Sequence[float]) -> list[tuple[Series, list[float]]]:
    """Return what remains of a record where no process continues the file of a dead one.

    Totals remain as they are, and gauges as what ``left_behind`` says; of a gauge that
    names a counter of what was lost, that counter remains.
    """
    declaration = series.declaration
    if declaration.lost:
        total = lost(values, is_held=False)
        return [(Series(declaration.counter_of_lost, series.labels), [total])]
    if declaration.type == GAUGE:
        return [(series, left_behind(declaration.mode, values))]
    return [(series, list(values))]


def absorbed(declaration: Declaration, own: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return what becomes of a record when its process brings values from another file.

    ``own`` is that of the file it claimed, where it has set nothing yet.
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
    """Return one record for what two files left behind, whose holders are over."""
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
"""How what was left behind becomes one; in other modes, what was set last counts."""


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
