"""What the page shows of a window, such as the last five minutes: by how much totals grew."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterable
from typing import Any

from tachikoma_metrics import conf
from tachikoma_metrics.live.history import (
    QUANTILES,
    ROUTE,
    STEP_SECONDS,
    History,
    by_class,
)
from tachikoma_metrics.live.totals import (
    COUNTED,
    COUNTS,
    SEPARATOR,
    TIMED,
    Counts,
    Process,
    Totals,
    all_of,
    live_processes,
    minus,
    minus_timed,
    quantile,
)
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import Reading

WINDOWS = (60, 300, 1800)
"""The windows that a viewer chooses from, in seconds."""

_MOST_ROWS = 300
_PER_POINT = 6
"""The steps that a point of a sparkline is the mean of."""

Answer = dict[str, Any]
Sparklines = dict[str, "list[float | None]"]


def report(totals: Totals, readings: Iterable[Reading], history: History, window: int) -> Answer:
    """Return what happened in the last ``window`` seconds, or for as long as that is known."""
    kept = history.before(totals.at - window)
    is_known = kept is not None and kept.at < totals.at and totals.follows(kept.totals)
    before = kept.totals if kept is not None and is_known else totals
    grown = _grown(totals, before)
    seconds = totals.at - before.at
    routes = _routes(grown)
    return {
        "at": totals.at,
        "seconds": seconds,
        "service": _service(grown, totals),
        "exceptions": _exceptions(grown.exceptions, history),
        "routes": routes[:_MOST_ROWS],
        "routeCount": len(routes),
        "sparklines": sparklines(history),
        "tasks": _tasks(grown),
        "queues": _queues(grown, totals),
        "executions": _executions(grown),
        "dollars": sum(grown.dollars.values()) if totals.dollars else None,
        "sockets": _sockets(grown, totals),
        "processes": [_process(one) for one in live_processes(readings, time.time())],
        "off": _off(),
    }


def _grown(totals: Totals, before: Totals) -> Totals:
    """Return the growth of all totals; the gauges as they are."""
    grown = Totals(totals.at, gauges=totals.gauges, bounds=totals.bounds)
    for name in COUNTS:
        setattr(grown, name, minus(getattr(totals, name), getattr(before, name)))
    for name in TIMED:
        setattr(grown, name, minus_timed(getattr(totals, name), getattr(before, name)))
    return grown


def _service(grown: Totals, totals: Totals) -> Answer:
    statuses = by_class(grown.requests)
    latency = all_of(grown.routes)
    database = all_of(grown.database)
    bounds = totals.bounds.get("routes", [])
    return {
        "requests": sum(statuses.values()),
        "statuses": statuses,
        "seconds": latency[1],
        **{name: quantile(share, latency, bounds) for name, share in QUANTILES.items()},
        "inFlight": totals.gauges.get("in_flight", 0.0),
        "queries": database[0],
        "databaseShare": _database_share(database[1], latency[1] + all_of(grown.tasks)[1]),
        "connections": totals.gauges.get("connections", 0.0),
        "hits": grown.cache.get("hits", 0.0),
        "misses": grown.cache.get("misses", 0.0),
    }


def _database_share(in_database: float, spent: float) -> float | None:
    """Return the share of the time that requests and tasks spent.

    None if it is more than all of it: most queries are made by something else, such as a command or
    a viewer of the page.
    """
    return in_database / spent if 0 < spent >= in_database else None


def _exceptions(grown: Counts, history: History) -> list[list[Any]]:
    found: list[list[Any]] = [
        [name, number, history.exceptions.get(name)] for name, number in grown.items() if number
    ]
    return sorted(found, key=lambda one: -one[1])[:_MOST_ROWS]


def _routes(grown: Totals) -> list[list[Any]]:
    """Return name, number, p95, 5xx, queries per request and seconds of the routes, by seconds."""
    bounds = grown.bounds.get("routes", [])
    failed: Counts = {}
    answered: Counts = {}
    for key, number in grown.requests.items():
        route, _, status = key.rpartition(SEPARATOR)
        answered[route] = answered.get(route, 0.0) + number
        if status == "5xx":
            failed[route] = failed.get(route, 0.0) + number
    rows: list[list[Any]] = []
    for route in answered.keys() | grown.routes.keys():
        values = grown.routes.get(route, [0.0, 0.0])
        number = answered.get(route, values[0])
        if number:
            queries = grown.route_queries.get(route)
            per_request = queries[1] / queries[0] if queries and queries[0] else None
            p95 = quantile(0.95, values, bounds)
            rows.append([route, number, p95, failed.get(route, 0.0), per_request, values[1]])
    return sorted(rows, key=lambda row: -row[-1])


def sparklines(history: History) -> Sparklines:
    """Return the seconds that each route took per second: a number for each half minute."""
    key = id(history), history.times[-1:].tolist()
    if _cached.key != key:
        _cached.lines, _cached.key = _sparklines(history), key
    return _cached.lines


class _Cached:
    """The sparklines that were made last: they change only with each step of the history."""

    def __init__(self) -> None:
        self.key: tuple[int, list[float]] | None = None
        self.lines: Sparklines = {}


_cached = _Cached()


def _sparklines(history: History) -> Sparklines:
    end = len(history.times)
    starts = range(end % _PER_POINT, end, _PER_POINT)
    return {
        name.removeprefix(ROUTE): [_mean(column[at : at + _PER_POINT]) for at in starts]
        for name, column in history.columns.items()
        if name.startswith(ROUTE)
    }


def _mean(values: array[float]) -> float | None:
    total = sum(values)
    if total == total:
        return float(f"{total / _PER_POINT:.4g}")
    known = [value for value in values if value == value]
    return float(f"{sum(known) / len(known):.4g}") if known else None


def _by_outcome(grown: Counts) -> dict[str, Counts]:
    found: dict[str, Counts] = {}
    for key, number in grown.items():
        outcome, _, name = key.partition(SEPARATOR)
        found.setdefault(name, {})[outcome] = number
    return found


def _tasks(grown: Totals) -> list[list[Any]]:
    """Return name, runs, those that did not succeed, p95 and seconds of the tasks, by seconds."""
    bounds = grown.bounds.get("tasks", [])
    rows: list[list[Any]] = []
    for name, outcomes in _by_outcome(grown.task_outcomes).items():
        runs = sum(outcomes.values())
        values = grown.tasks.get(name, [0.0, 0.0])
        failed = runs - outcomes.get("success", 0.0)
        if runs:
            rows.append([name, runs, failed, quantile(0.95, values, bounds), values[1]])
    return sorted(rows, key=lambda row: -row[-1])[:_MOST_ROWS]


def _queues(grown: Totals, totals: Totals) -> list[list[Any]]:
    """Return name, length, tasks that started and p95 of the wait of the queues."""
    prefix = f"queue{SEPARATOR}"
    lengths = {
        name.removeprefix(prefix): length
        for name, length in totals.gauges.items()
        if name.startswith(prefix)
    }
    bounds = grown.bounds.get("waits", [])
    return [
        [name, lengths.get(name), values[0], quantile(0.95, values, bounds)]
        for name in sorted(lengths.keys() | totals.waits.keys())
        for values in [grown.waits.get(name, [0.0, 0.0])]
    ]


def _executions(grown: Totals) -> list[list[Any]]:
    """Return provider and model, calls, those that failed, p95, tokens and dollars."""
    bounds = grown.bounds.get("executions", [])
    tokens = _by_outcome(grown.tokens)
    rows: list[list[Any]] = []
    for name, outcomes in _by_outcome(grown.execution_outcomes).items():
        calls = sum(outcomes.values())
        used = tokens.get(name, {})
        if calls:
            rows.append(
                [
                    name,
                    calls,
                    calls - outcomes.get("success", 0.0),
                    quantile(0.95, grown.executions.get(name, [0.0, 0.0]), bounds),
                    used.get("prompt", 0.0),
                    used.get("completion", 0.0),
                    grown.dollars.get(name),
                ]
            )
    return sorted(rows, key=lambda row: -row[1])[:_MOST_ROWS]


def _sockets(grown: Totals, totals: Totals) -> Counts | None:
    if not totals.sockets.get("opened"):
        return None
    return {"open": totals.gauges.get("sockets", 0.0), **grown.sockets}


def _process(process: Process) -> list[Any]:
    return [process.pid, process.name, process.resident_bytes, process.age]


def _off() -> list[str]:
    """Return the names of the metrics that are off, and without which a part is empty."""
    if not conf.config().enabled:
        return [one.name for one in COUNTED]
    return [one.name for one in COUNTED if not METRICS.bound(one.name).is_on]


def plots(history: History, since: float) -> Answer:
    """Return the rows of the history after ``since``, without those of routes."""
    start = next((at for at, time in enumerate(history.times) if time > since), len(history.times))
    return {
        "step": STEP_SECONDS,
        "times": [round(time, 1) for time in history.times[start:]],
        "columns": {
            name: [_rounded(value) for value in column[start:]]
            for name, column in history.columns.items()
            if not name.startswith(ROUTE)
        },
    }


def _rounded(value: float) -> float | None:
    return float(f"{value:.5g}") if value == value else None
