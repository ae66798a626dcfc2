"""Processes that record what a service does, and stay alive while it is measured."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial

from benchmarks.measured.population import Change, main
from benchmarks.project.start import start

_METHODS = ("GET", "POST")
_STATUSES = (200, 404, 500)


def changes(routes: int) -> list[Change]:
    """Return functions that record requests to so many routes, their queries and lookups."""
    return list(_changes(routes))


def _changes(routes: int) -> Iterator[Change]:
    from tachikoma_metrics.recording.events import CACHE_HIT, CACHE_MISS, DB_QUERY, HTTP_REQUEST

    for route in range(routes):
        for method in _METHODS:
            for status in _STATUSES:
                facts = (
                    method,
                    f"resources-{route}/<int:pk>/",
                    status,
                    f"view-{route}",
                    "",
                    ("http",),
                )
                # Sums of powers of two are exact in any order.
                amounts = (1.0, 0.125, 256.0, 1024.0, 0.125, 2.0, 0.0625)
                yield partial(HTTP_REQUEST.record, facts, amounts)
        for operation in ("select", "update"):
            yield partial(DB_QUERY.record, (operation, f"table_{route}", "default"), (1.0, 0.0625))
    yield partial(CACHE_HIT.record, ("default",), (1.0,))
    yield partial(CACHE_MISS.record, ("default",), (1.0,))


if __name__ == "__main__":
    _processes, _routes = map(int, sys.argv[1:])
    start()
    main(_processes, partial(changes, _routes))
