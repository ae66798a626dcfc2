"""Calls of a cache, and the hits and misses that they count with every backend.

The cache contains ``there``, ``none`` and ``number``; ``gone`` is missing.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

VALUES = {"there": "value", "none": None, "number": 7}

LOOKUPS: dict[str, tuple[Callable[[Any], Any], int, int]] = {
    "get": (lambda c: c.get("there"), 1, 0),
    "get of nothing": (lambda c: c.get("gone"), 0, 1),
    "get with a default": (lambda c: c.get("gone", 5), 0, 1),
    "get with its default stored": (lambda c: c.get("number", 7), 1, 0),
    "get by keyword": (lambda c: c.get(key="there", default=3), 1, 0),
    "get of a version": (lambda c: c.get("there", version=2), 0, 1),
    "get of None": (lambda c: c.get("none", 5), 1, 0),
    "get_many": (lambda c: c.get_many(["there", "none", "gone"]), 2, 1),
    "get_many, twice the same": (lambda c: c.get_many(["there", "there", "gone", "gone"]), 1, 1),
    "get_many of an iterator": (lambda c: c.get_many(iter(["there", "gone"])), 1, 1),
    "get_many by keyword": (lambda c: c.get_many(keys=iter(["there", "gone"])), 1, 1),
    "get_many of what was found": (lambda c: c.get_many(k for k in ["there"] if c.get(k)), 2, 0),
    "get_or_set": (lambda c: c.get_or_set("there", 5), 1, 0),
    "get_or_set of nothing": (lambda c: c.get_or_set("gone", 5), 0, 1),
    "get_or_set of None": (lambda c: c.get_or_set("none", 5), 1, 0),
    "get_or_set by a call": (lambda c: c.get_or_set("gone", lambda: 5), 0, 1),
    "get_or_set by a lookup": (lambda c: c.get_or_set("gone", lambda: c.get("there")), 1, 1),
    "get_or_set by get_or_set": (
        lambda c: c.get_or_set("gone", lambda: c.get_or_set("away", lambda: c.get("there"))),
        1,
        2,
    ),
    "get_or_set by many": (lambda c: c.get_or_set("gone", lambda: c.get_many(["there"])), 1, 1),
    "get_or_set that fails": (lambda c: _failing(lambda: c.get_or_set("gone", _fail)), 0, 1),
    "has_key": (lambda c: c.has_key("there"), 1, 0),
    "has_key of nothing": (lambda c: c.has_key("gone"), 0, 1),
    "in": (lambda c: "none" in c, 1, 0),
    "not in": (lambda c: "gone" not in c, 0, 1),
    "set": (lambda c: c.set("new", 1), 0, 0),
    "set_many": (lambda c: c.set_many({"there": 1, "new": 2}), 0, 0),
    "add": (lambda c: (c.add("there", 1), c.add("new", 1)), 0, 0),
    "touch": (lambda c: (c.touch("there"), c.touch("gone")), 0, 0),
    "incr": (lambda c: (c.incr("number"), c.decr("number")), 0, 0),
    "incr of nothing": (lambda c: _failing(lambda: c.incr("gone")), 0, 0),
    # django-redis does not find the key.
    "incr_version": (lambda c: _failing(lambda: c.incr_version("there")), 0, 0),
    "delete": (lambda c: (c.delete("there"), c.delete_many(["none", "gone"])), 0, 0),
    "clear": (lambda c: c.clear(), 0, 0),
}


def _fail() -> None:
    raise LookupError


def _failing(function: Callable[[], Any]) -> None:
    with suppress(LookupError, ValueError):
        function()


async def _all(*awaitables: Awaitable[Any]) -> None:
    for awaitable in awaitables:
        await awaitable


async def _failing_async(awaitable: Awaitable[Any]) -> None:
    with suppress(LookupError, ValueError):
        await awaitable


ASYNC_LOOKUPS: dict[str, tuple[Callable[[Any], Awaitable[Any]], int, int]] = {
    "aget": (lambda c: c.aget("there"), 1, 0),
    "aget of nothing": (lambda c: c.aget("gone", 5), 0, 1),
    "aget of None": (lambda c: c.aget("none", 5), 1, 0),
    "aget by keyword": (lambda c: c.aget(key="none", default=3), 1, 0),
    "aget_many": (lambda c: c.aget_many(["there", "none", "gone", "gone"]), 2, 1),
    "aget_many of an iterator": (lambda c: c.aget_many(iter(["there", "gone"])), 1, 1),
    "aget_or_set": (lambda c: c.aget_or_set("none", 5), 1, 0),
    "aget_or_set of nothing": (lambda c: c.aget_or_set("gone", 5), 0, 1),
    "aget_or_set that fails": (lambda c: _failing_async(c.aget_or_set("gone", _fail)), 0, 1),
    "ahas_key": (lambda c: _all(c.ahas_key("there"), c.ahas_key("gone")), 1, 1),
    "changes": (
        lambda c: _all(c.aset("new", 1), c.aadd("there", 1), c.aadd("newer", 1), c.atouch("gone")),
        0,
        0,
    ),
    "aincr": (lambda c: _all(c.aincr("number"), c.adecr("number")), 0, 0),
    "aincr_version": (lambda c: c.aincr_version("there"), 0, 0),
    "adelete": (lambda c: _all(c.adelete("there"), c.adelete_many(["none"]), c.aclear()), 0, 0),
}
