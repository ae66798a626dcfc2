"""The last half hour, five seconds a step, and the totals from which to compute a longer window.

A *column* is one line of a plot: a value for each step, NaN where nothing is known. Steps during
which no process noted anything are one row of NaN, a gap in the plots. The totals that are kept are
compressed JSON: the table of routes would not fit into the columns.
"""

from __future__ import annotations

import json
import math
import zlib
from array import array
from dataclasses import dataclass, field
from functools import cached_property

from tachikoma_metrics.live.totals import SEPARATOR, Totals, all_of, minus, minus_timed, quantile

STEP_SECONDS = 5.0
ROWS = 360
"""Half an hour."""
ROUTES = 40
"""The columns of routes: those on which the service spent most time."""
ROUTE = f"route{SEPARATOR}"
"""What the names of these columns begin with."""
CLASSES = ("2xx", "3xx", "4xx", "5xx")
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}

_MAGIC = b"tachikoma-history-1\n"
_LONGEST_STEP = 2.5 * STEP_SECONDS
_LONGEST_CORRECTION = 60.0
"""Seconds by which a clock may be set back, until which the history waits for it."""
_SECONDS_BETWEEN_KEPT = 30.0
_SECONDS_OF_CLOSE_KEPT = 330.0
_SECONDS_BETWEEN_FAR_KEPT = 150.0
_COMPRESSION_LEVEL = 1
_MOST_EXCEPTIONS = 50
_NAN = math.nan


@dataclass
class Kept:
    """Totals at an earlier time, as compressed JSON."""

    at: float
    content: bytes

    @classmethod
    def of(cls, totals: Totals) -> Kept:
        """Return totals in this form."""
        return cls(totals.at, zlib.compress(totals.to_json().encode(), _COMPRESSION_LEVEL))

    @cached_property
    def totals(self) -> Totals:
        """Return the totals; raise ``ValueError``, ``TypeError`` or ``zlib.error`` if damaged."""
        return Totals.from_json(zlib.decompress(self.content).decode())


@dataclass
class History:
    """Times of steps, columns of the same length, and totals, of which the last are ``last``.

    ``exceptions`` has the time at which an exception of each class was last counted.
    """

    times: array[float] = field(default_factory=lambda: array("d"))
    columns: dict[str, array[float]] = field(default_factory=dict)
    kept: list[Kept] = field(default_factory=list)
    exceptions: dict[str, float] = field(default_factory=dict)
    last: Kept | None = None

    def copy(self) -> History:
        """Return a history that can be added to while this one is read."""
        columns = {name: column[:] for name, column in self.columns.items()}
        return History(self.times[:], columns, list(self.kept), dict(self.exceptions), self.last)

    # --- steps --------------------------------------------------------------

    def add(self, totals: Totals, before: Totals | None) -> bool:
        """Note what happened since ``before``, the totals that were added last.

        Returns False if that is to be tried again, because the clock was set back a little.
        """
        if before is not None and not totals.follows(before):
            # Another service.
            self._start_anew()
            before = None
        elif before is not None and totals.at <= before.at:
            if totals.at > before.at - _LONGEST_CORRECTION:
                return False
            self._start_anew()
            before = None
        if before is not None:
            self._add_rows(totals, before)
        self._keep(totals)
        return True

    def _start_anew(self) -> None:
        self.times = array("d")
        self.columns, self.kept, self.exceptions = {}, [], {}

    def _add_rows(self, totals: Totals, before: Totals) -> None:
        seconds = totals.at - before.at
        if seconds > _LONGEST_STEP:
            self._append(before.at + STEP_SECONDS, {})
        else:
            self._append(totals.at, row(totals, before))
        for name, number in minus(totals.exceptions, before.exceptions).items():
            if number:
                self.exceptions[name] = totals.at
        if len(self.exceptions) > _MOST_EXCEPTIONS:
            del self.exceptions[min(self.exceptions, key=lambda name: self.exceptions[name])]

    def _append(self, at: float, values: dict[str, float]) -> None:
        for name in values.keys() - self.columns.keys():
            self.columns[name] = array("d", [_NAN]) * len(self.times)
        self.times.append(at)
        for name, column in self.columns.items():
            column.append(values.get(name, _NAN))
        if len(self.times) > ROWS:
            surplus = len(self.times) - ROWS
            del self.times[:surplus]
            for column in self.columns.values():
                del column[:surplus]
        self._drop_columns()

    def _drop_columns(self) -> None:
        totals = {
            name: sum(value for value in column if value == value)
            for name, column in self.columns.items()
            if name.startswith(ROUTE)
        }
        ranked = sorted(totals, key=lambda name: totals[name], reverse=True)
        for name in ranked[ROUTES:]:
            del self.columns[name]

    def _keep(self, totals: Totals) -> None:
        self.last = Kept.of(totals)
        if not self.kept or totals.at - self.kept[-1].at >= _SECONDS_BETWEEN_KEPT:
            self.kept.append(self.last)
            self._thin_out(totals.at)

    def _thin_out(self, now: float) -> None:
        kept: list[Kept] = []
        for one in self.kept:
            is_close = now - one.at <= _SECONDS_OF_CLOSE_KEPT
            is_apart = not kept or one.at - kept[-1].at >= _SECONDS_BETWEEN_FAR_KEPT
            if now - one.at <= ROWS * STEP_SECONDS + 1 and (is_close or is_apart):
                kept.append(one)
        self.kept = kept

    def before(self, at: float) -> Kept | None:
        """Return the totals that were kept at a time as close to ``at`` as there are any."""
        return min(self.kept, key=lambda one: abs(one.at - at), default=None)

    # --- the file -----------------------------------------------------------

    def to_bytes(self) -> bytes:
        """Return the content of a file with this history."""
        columns = list(self.columns)
        blobs = [one.content for one in self.kept]
        last = self.last.content if self.last else b""
        head = {
            "rows": len(self.times),
            "columns": columns,
            "kept": [[one.at, len(one.content)] for one in self.kept],
            "last": [self.last.at if self.last else 0.0, len(last)],
            "exceptions": self.exceptions,
        }
        numbers = [self.times.tobytes(), *(self.columns[name].tobytes() for name in columns)]
        body = b"".join([json.dumps(head).encode(), b"\n", *numbers, *blobs, last])
        return b"".join([_MAGIC, b"%08x\n" % zlib.crc32(body), body])

    @classmethod
    def from_bytes(cls, content: bytes) -> History:
        """Return the history in the content of a file; an empty one if that is damaged."""
        checksum, body = content[len(_MAGIC) : len(_MAGIC) + 8], content[len(_MAGIC) + 9 :]
        if not content.startswith(_MAGIC) or checksum != b"%08x" % zlib.crc32(body):
            return cls()
        line, _, rest = body.partition(b"\n")
        head = json.loads(line)
        size = 8 * head["rows"]
        parts = [
            array("d", rest[at * size : (at + 1) * size]) for at in range(1 + len(head["columns"]))
        ]
        rest = rest[size * len(parts) :]
        found = cls(parts[0], dict(zip(head["columns"], parts[1:], strict=True)))
        for at, length in [*head["kept"], head["last"]]:
            found.kept.append(Kept(at, rest[:length]))
            rest = rest[length:]
        last = found.kept.pop()
        found.last = last if last.content else None
        found.exceptions = head["exceptions"]
        return found


def row(totals: Totals, before: Totals) -> dict[str, float]:
    """Return the values of one step, by the names of their columns."""
    seconds = totals.at - before.at
    requests = by_class(minus(totals.requests, before.requests))
    answered = sum(requests.values())
    routes = minus_timed(totals.routes, before.routes)
    latency = all_of(routes)
    cache = minus(totals.cache, before.cache)
    lookups = sum(cache.values())
    database = all_of(minus_timed(totals.database, before.database))
    values = {name: requests.get(name, 0.0) / seconds for name in CLASSES}
    for name, share in QUANTILES.items():
        values[name] = _known(quantile(share, latency, totals.bounds.get("routes", [])))
    values["in_flight"] = totals.gauges.get("in_flight", 0.0)
    values["busy"] = latency[1] / seconds
    values["database"] = database[1] / seconds
    values["errors"] = requests.get("5xx", 0.0) / answered if answered else _NAN
    values["hits"] = cache["hits"] / lookups if lookups else _NAN
    taken = {f"{ROUTE}{key}": spent[1] / seconds for key, spent in routes.items() if spent[1] > 0}
    return values | dict(sorted(taken.items(), key=lambda item: -item[1])[:ROUTES])


def by_class(requests: dict[str, float]) -> dict[str, float]:
    """Return the number of requests for each class of status, whatever their route."""
    found: dict[str, float] = {}
    for key, number in requests.items():
        status = key.rpartition(SEPARATOR)[2]
        name = status if status in CLASSES else "2xx" if status == "1xx" else status
        found[name] = found.get(name, 0.0) + number
    return found


def _known(value: float | None) -> float:
    return _NAN if value is None else value
