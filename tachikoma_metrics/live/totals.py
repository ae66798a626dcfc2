"""What the live page shows, as totals of all processes at one time.

A difference of two ``Totals`` is what happened in between. They are plain numbers, lists and
dictionaries, so that they can be stored as JSON.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Family as Declared
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import STORE, Family, Merger, Reading
from tachikoma_metrics.store.system import Usage, name_of, namespace, usage_of

SEPARATOR = " "
"""Between the labels of a key, such as ``GET /api/missions/``."""

COUNTED: tuple[Declared, ...] = (
    catalogue.HTTP_REQUESTS,
    catalogue.HTTP_REQUEST_DURATION,
    catalogue.HTTP_REQUEST_DB_QUERIES,
    catalogue.HTTP_EXCEPTIONS,
    catalogue.DB_QUERY_DURATION,
    catalogue.CACHE_HITS,
    catalogue.EXECUTION_COST_USD,
    catalogue.TASK_QUEUE_LENGTH,
)
"""The metrics without which a part of the page is empty."""

Timed = dict[str, list[float]]
"""For each key: the number, the seconds, and then the cumulative counts of the buckets."""
Counts = dict[str, float]


COUNTS = (
    "requests",
    "cache",
    "exceptions",
    "task_outcomes",
    "execution_outcomes",
    "tokens",
    "dollars",
    "sockets",
)
TIMED = ("routes", "route_queries", "database", "tasks", "waits", "executions")
"""The fields of ``Totals`` that only grow."""


@dataclass
class Totals:
    """The totals at the Unix time ``at``.

    ``requests`` are by route and class of status, such as ``GET /api/ 2xx``; ``routes`` are their
    durations, ``bounds`` the upper bounds of the buckets of each histogram.
    """

    at: float
    requests: Counts = field(default_factory=dict)
    routes: Timed = field(default_factory=dict)
    route_queries: Timed = field(default_factory=dict)
    database: Timed = field(default_factory=dict)
    cache: Counts = field(default_factory=dict)
    exceptions: Counts = field(default_factory=dict)
    tasks: Timed = field(default_factory=dict)
    task_outcomes: Counts = field(default_factory=dict)
    waits: Timed = field(default_factory=dict)
    executions: Timed = field(default_factory=dict)
    execution_outcomes: Counts = field(default_factory=dict)
    tokens: Counts = field(default_factory=dict)
    dollars: Counts = field(default_factory=dict)
    sockets: Counts = field(default_factory=dict)
    gauges: Counts = field(default_factory=dict)
    bounds: dict[str, list[float]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the text from which ``from_json`` makes the same totals."""
        return json.dumps(vars(self), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Totals:
        """Return the totals of a text; raise ``TypeError`` or ``ValueError`` for another one."""
        return cls(**json.loads(text))

    def follows(self, earlier: Totals) -> bool:
        """Return whether these are totals of the same service, at a later time.

        Those of another service, or of one whose store was removed, are lower. A few may be lower
        in the same service: at a restart, the store drops the label sets that nothing uses.
        """
        if not any(earlier.requests.values()):
            return True
        rose = [
            self.requests[key] >= before
            for key, before in earlier.requests.items()
            if key in self.requests
        ]
        return 2 * sum(rose) > len(rose)


def minus(now: Counts, before: Counts) -> Counts:
    """Return the growth of each total; 0 if it fell, for the store dropped a label set of it."""
    return {key: max(value - before.get(key, 0.0), 0.0) for key, value in now.items()}


def minus_timed(now: Timed, before: Timed) -> Timed:
    """Return the growth of all numbers of each key; zeros if they fell."""
    return {
        key: _growth(values, before[key]) if key in before else values
        for key, values in now.items()
    }


def _growth(now: list[float], before: list[float]) -> list[float]:
    if now[0] < before[0]:
        return [0.0] * len(now)
    # Of other buckets than before, only the number and the sum can be compared.
    length = len(now) if len(now) == len(before) else 2
    return [max(one - other, 0.0) for one, other in zip(now[:length], before, strict=False)]


@dataclass(frozen=True)
class Process:
    """A live process: what it uses, and for how many seconds it has run."""

    pid: int
    name: str
    resident_bytes: float
    age: float


class Reader:
    """Read the totals of all processes, one thread at a time."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Make a new lock, in a forked child: a thread of its parent may hold it."""
        self._lock = threading.Lock()
        self._merger = Merger()

    def read(self) -> tuple[Totals, list[Reading]]:
        """Return the totals, and what they were read from.

        Raises ``Incomplete`` as a scrape does.
        """
        with self._lock:
            METRICS.bind()
            STORE.claim()
            readings = STORE.readings()
            at = time.time()
            merged = self._merger.merge(readings, METRICS.count_store_error, METRICS.limits)
            return _totals(at, _Families(merged)), readings


class _Families:
    """The merged metrics by the declarations of the catalogue."""

    def __init__(self, merged: Iterable[Family]) -> None:
        self._by_declaration: dict[tuple[str, str], list[Family]] = {}
        for family in merged:
            declaration = family.declaration
            if declaration.is_builtin:
                key = declaration.name, declaration.type
                self._by_declaration.setdefault(key, []).append(family)

    def of(self, declared: Declared) -> list[Family]:
        bound = METRICS.bound(declared.name)
        declaration = bound.metric.declaration
        found = self._by_declaration.get((declaration.name, declaration.type), [])
        return found if bound.is_on else []

    def counts(self, declared: Declared, *labels: str) -> Counts:
        """Return the values by the values of ``labels``, as far as the metric has them."""
        counts: Counts = {}
        for family in self.of(declared):
            for key, value in zip(_keys(family, labels), family.values, strict=True):
                if value:
                    counts[key] = counts.get(key, 0.0) + value
        return counts

    def gauge(self, declared: Declared) -> float:
        return sum(sum(family.values) for family in self.of(declared))

    def timed(self, declared: Declared, *labels: str) -> tuple[Timed, list[float]]:
        """Return numbers, seconds and buckets by the values of ``labels``, and the bounds."""
        timed: Timed = {}
        bounds: list[float] = []
        for family in self.of(declared):
            layout = _layout(family)
            if layout is None:
                continue
            count_at, sum_at, buckets_at, own_bounds, width = layout
            bounds = bounds or own_bounds
            buckets = buckets_at if own_bounds == bounds else []
            for place, key in enumerate(_keys(family, labels)):
                values = family.values[place * width : (place + 1) * width]
                if not values[count_at]:
                    continue
                found = [values[count_at], values[sum_at], *[values[at] for at in buckets]]
                timed[key] = _added(timed[key], found) if key in timed else found
        return timed, bounds


def _added(some: list[float], more: list[float]) -> list[float]:
    if len(more) < len(some):
        more = [*more, *[0.0] * (len(some) - len(more))]
    return [one + other for one, other in zip(some, more, strict=False)]


def _keys(family: Family, labels: tuple[str, ...]) -> Sequence[str]:
    """Return the key of each label set, from a cache that lives as long as the label sets do."""
    lines = family.lines
    cached: Sequence[str] | None = lines.rendered.get((__name__, labels))
    if cached is None:
        found = [label for label in labels if label in lines.names or label in _SPLIT_OFF]
        places = [(name, lines.names.index(name) if name in lines.names else -1) for name in found]
        cached = [
            SEPARATOR.join(
                "" if at < 0 else _class_of(values[at]) if name == STATUS_LABEL else values[at]
                for name, at in places
            )
            for values in lines.label_sets
        ]
        lines.rendered[__name__, labels] = cached
    return cached


STATUS_LABEL = "status"
_SPLIT_OFF = frozenset({STATUS_LABEL, "outcome", "type"})
"""The labels that begin or end a key; a metric without one has "" there, not the next label."""


def _class_of(status: str) -> str:
    """Return ``2xx`` for ``204``; the outcome of an LLM call as it is."""
    return f"{status[0]}xx" if len(status) == 3 and status.isdigit() else status


def _layout(family: Family) -> tuple[int, int, list[int], list[float], int] | None:
    endings = family.lines.endings
    suffixes = [suffix for suffix, _ in endings]
    if "_count" not in suffixes or "_sum" not in suffixes:
        return None
    buckets = [(at, bound) for at, (_, bound) in enumerate(endings) if bound is not None]
    return (
        suffixes.index("_count"),
        suffixes.index("_sum"),
        [at for at, _ in buckets],
        [bound for _, bound in buckets],
        len(endings),
    )


def _totals(at: float, families: _Families) -> Totals:
    totals = Totals(at)
    totals.requests = families.counts(catalogue.HTTP_REQUESTS, "method", "path", STATUS_LABEL)
    totals.exceptions = families.counts(catalogue.HTTP_EXCEPTIONS, "exception")
    totals.cache = {
        "hits": families.gauge(catalogue.CACHE_HITS),
        "misses": families.gauge(catalogue.CACHE_MISSES),
    }
    timed: tuple[tuple[str, Declared, tuple[str, ...]], ...] = (
        ("routes", catalogue.HTTP_REQUEST_DURATION, ("method", "path")),
        ("route_queries", catalogue.HTTP_REQUEST_DB_QUERIES, ("method", "path")),
        ("database", catalogue.DB_QUERY_DURATION, ()),
        ("tasks", catalogue.TASK_RUN_DURATION, ("task",)),
        ("waits", catalogue.TASK_QUEUE_WAIT, ("queue",)),
        ("executions", catalogue.EXECUTION_DURATION, ("backend", "model")),
    )
    for name, declared, labels in timed:
        found, bounds = families.timed(declared, *labels)
        setattr(totals, name, found)
        # JSON has no infinity.
        totals.bounds[name] = bounds[:-1]
    # Of the queries only the number and the sum are shown.
    totals.route_queries = {key: values[:2] for key, values in totals.route_queries.items()}
    totals.task_outcomes = families.counts(catalogue.TASK_RUNS, "outcome", "task")
    totals.execution_outcomes = families.counts(
        catalogue.EXECUTIONS, STATUS_LABEL, "backend", "model"
    )
    totals.tokens = families.counts(catalogue.EXECUTION_TOKENS, "type", "backend", "model")
    totals.dollars = families.counts(catalogue.EXECUTION_COST_USD, "backend", "model")
    totals.sockets = {
        "opened": families.gauge(catalogue.WS_CONNECTIONS),
        "received": families.gauge(catalogue.WS_MESSAGES_RECEIVED),
        "sent": families.gauge(catalogue.WS_MESSAGES_SENT),
    }
    totals.gauges = {
        "in_flight": families.gauge(catalogue.HTTP_REQUESTS_IN_FLIGHT),
        "sockets": families.gauge(catalogue.WS_CONNECTIONS_CURRENT),
        "executions": families.gauge(catalogue.EXECUTIONS_IN_PROGRESS),
        "tasks": families.gauge(catalogue.TASK_RUNS_IN_PROGRESS),
        "connections": families.gauge(catalogue.DB_CONNECTIONS_CURRENT),
        **{
            f"queue{SEPARATOR}{queue}": length
            for queue, length in families.counts(catalogue.TASK_QUEUE_LENGTH, "queue").items()
        },
    }
    return totals


def quantile(share: float, values: list[float], bounds: list[float]) -> float | None:
    """Return a quantile of a histogram, as ``histogram_quantile`` of PromQL does.

    ``values`` are the number, the sum and the cumulative counts; beyond the last of ``bounds``,
    that is the result. None if nothing was measured.
    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    """
    counts = values[2:]
    if not counts or not counts[-1] > 0:
        return None
    wanted, below, lower = share * counts[-1], 0.0, 0.0
    for count, bound in zip(counts, bounds, strict=False):
        if count >= wanted:
            within = count - below
            return lower + (bound - lower) * ((wanted - below) / within if within else 1.0)
        below, lower = count, bound
    return bounds[-1] if bounds else None


def all_of(timed: Timed) -> list[float]:
    """Return the sum over all keys."""
    total: list[float] = [0.0, 0.0]
    for values in timed.values():
        if len(values) > len(total):
            total = [*total, *[0.0] * (len(values) - len(total))]
        total = _added(total, values)
    return total


def live_processes(readings: Iterable[Reading], now: float) -> Iterator[Process]:
    """Yield the live processes that this one can see, the oldest first."""
    found = {
        reading.header.pid: usage for reading in readings if (usage := _usage(reading)) is not None
    }
    for pid, usage in sorted(found.items(), key=lambda item: item[1].started_at):
        age = max(now - usage.started_at, 0.0)
        yield Process(pid, name_of(pid), usage.resident_bytes, age)


def _usage(reading: Reading) -> Usage | None:
    header = reading.header
    is_near = reading.is_held and header.pid and header.namespace == namespace()
    return usage_of(header.pid, header.started) if is_near else None
