"""Which cases of a test may be left out where another environment runs them all."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

import pytest


def left_out(items: Iterable[pytest.Item]) -> list[pytest.Item]:
    """Return the cases of each test that are neither its first nor its last in the source."""
    found = []
    for _, cases in groupby(sorted(items, key=_place), key=_test):
        found += list(cases)[1:-1]
    return found


def _test(item: pytest.Item) -> str:
    return item.nodeid.partition("[")[0]


def _place(item: pytest.Item) -> tuple[str, tuple[int, ...]]:
    """Return the test, and the numbers of the values that its parameters have in this case."""
    callspec = getattr(item, "callspec", None)
    return _test(item), tuple(callspec.indices.values()) if callspec else ()
