"""Calls of a cache's methods: which keys each looks up, and how it counts them.

Backends call their own methods: ``get_or_set`` calls ``get``, ``incr`` may, and the async
forms call the sync ones in another thread. So that each key counts once, the context holds
the current call: another call of the same cache within it is nested, and counts nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from contextvars import ContextVar
from typing import Any

from tachikoma_metrics.cache.defaults import MISSING, has_known_client, returns_the_default
from tachikoma_metrics.recording.events import CACHE_ERROR, CACHE_HIT, CACHE_MISS

ONE = (1.0,)

current: ContextVar[Call | None] = ContextVar("cache_call", default=None)

Method = Callable[..., Any]


class Call:
    """A call that looks up no key; the lookups of nested calls do not count either.

    ``labels`` is the alias of the cache, in a tuple; ``method`` is called with ``args`` and
    ``kwargs``. ``parent`` is the call that this one was made in, of whichever cache.
    """

    __slots__ = ("args", "cache", "enclosing", "kwargs", "labels", "parent")

    def __init__(
        self,
        labels: tuple[str],
        cache: object,
        parent: Call | None,
        method: Method,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.labels = labels
        self.cache: object = cache
        self.parent = parent
        self.args = args
        self.kwargs = kwargs
        self.enclosing = None if parent is None else nearest(parent, cache)

    def includes(self, key: object, version: object) -> bool:
        """Return whether this call counts a nested lookup of ``key``."""
        return True

    def count_nested(self, was_found: bool) -> None:
        """Count a key that a nested call looked up."""

    def end(self) -> None:
        """Leave the context; calls of a task that is still running are no longer nested."""
        # A coroutine may be closed in another context than it ran in.
        if current.get() is self:
            current.set(self.parent)
        self.cache = self.parent = None

    def record(self, result: Any) -> None:
        """Count the keys that were looked up."""

    def record_error(self, operation: str, error: Exception) -> None:
        """Count the exception that the method raised."""
        CACHE_ERROR.record_valid((*self.labels, operation), ONE)

    def result_for_caller(self, result: Any) -> Any:
        """Return the result that the caller receives."""
        return result

    def argument(self, position: int, name: str) -> Any:
        """Return an argument by its position or else its name; None without it."""
        return self.args[position] if len(self.args) > position else self.kwargs.get(name)

    def count(self, key: object, version: object, was_found: bool) -> None:
        """Count one key, or pass it to the enclosing call that includes it."""
        if self.enclosing is not None and self.enclosing.includes(key, version):
            self.enclosing.count_nested(was_found)
        else:
            (CACHE_HIT if was_found else CACHE_MISS).record_valid(self.labels, ONE)


class Increment(Call):
    """A call that changes a number or a version, and raises ``ValueError`` without one."""

    __slots__ = ()

    def record_error(self, operation: str, error: Exception) -> None:
        """Count the exception, unless it says that the key does not exist."""
        if not isinstance(error, ValueError):
            super().record_error(operation, error)


class Get(Call):
    """A call that looks up one key and returns its value, or else the default."""

    __slots__ = ("default", "passed_default")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.default = self.passed_default = self.argument(1, "default")
        if self.accepts_sentinel(arguments[3]):
            self.passed_default = MISSING
            if len(self.args) > 1:
                self.args = (self.args[0], MISSING, *self.args[2:])
            else:
                self.kwargs = {**self.kwargs, "default": MISSING}

    def accepts_sentinel(self, method: Method) -> bool:
        """Return whether the method and its client are known to return any default."""
        is_known = returns_the_default(getattr(method, "__func__", None))
        return is_known and has_known_client(self.cache)

    def record(self, result: Any) -> None:
        """Count a miss if the default was returned, else a hit."""
        key, version = self.argument(0, "key"), self.argument(2, "version")
        self.count(key, version, result is not self.passed_default)

    def result_for_caller(self, result: Any) -> Any:
        """Return the caller's default instead of the sentinel."""
        return self.default if result is MISSING else result


class AsyncGet(Get):
    """An async ``Get``, which may pass its arguments to the sync method."""

    __slots__ = ()

    def accepts_sentinel(self, method: Method) -> bool:
        """Return whether both methods, and the client, are known to return any default."""
        replaced = vars(self.cache).get("get") if hasattr(self.cache, "__dict__") else None
        # Next in the order is the class that the measuring subclass is derived from.
        sync = getattr(type(self.cache).__mro__[1], "get", None) if replaced is None else None
        return super().accepts_sentinel(method) and returns_the_default(sync)


class HasKey(Call):
    """A call that returns whether a key exists."""

    __slots__ = ()

    def record(self, result: Any) -> None:
        """Count the key."""
        self.count(self.argument(0, "key"), self.argument(1, "version"), bool(result))


class GetMany(Call):
    """A call that looks up many keys and returns the values of those that were found."""

    __slots__ = ("keys",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.keys: Iterable[Any] = self.argument(0, "keys")
        if isinstance(self.keys, Sized) or not isinstance(self.keys, Iterable):
            return
        # An iterator can be read only once.
        copied: list[Any] = []
        passed = self._copying(self.keys, copied)
        if self.args:
            self.args = (passed, *self.args[1:])
        else:
            self.kwargs = {**self.kwargs, "keys": passed}
        self.keys = copied

    def _copying(self, keys: Iterable[Any], copied: list[Any]) -> Iterator[Any]:
        # The iterator may look up keys itself: those are not nested, and count.
        self._enter(self.parent)
        try:
            for key in keys:
                copied.append(key)
                self._enter(self)
                yield key
                self._enter(self.parent)
        finally:
            self._enter(self)

    def _enter(self, call: Call | None) -> None:
        # After the call has ended, a consumer of the iterator is in another context.
        if self.cache is not None:
            current.set(call)

    def record(self, result: Any) -> None:
        """Count each distinct key once."""
        keys, version = set(self.keys), self.argument(1, "version")
        if self.enclosing is not None:
            for key in keys:
                self.count(key, version, key in result)
            return
        hits = len(result)
        CACHE_HIT.record_valid(self.labels, (float(hits),))
        CACHE_MISS.record_valid(self.labels, (float(max(len(keys) - hits, 0)),))


class GetOrSet(Call):
    """A call that looks up a key and, if it is missing, sets it.

    The first nested lookup of the key is counted, and later ones are not. Lookups of other
    keys come from the callable that computes the value, and count.
    """

    __slots__ = ("is_counted",)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.is_counted = False

    def includes(self, key: object, version: object) -> bool:
        """Return whether this call counts a nested lookup of ``key``."""
        return _is_same(key, self.argument(0, "key")) and version == self.argument(3, "version")

    def count_nested(self, was_found: bool) -> None:
        """Count the key, once."""
        if not self.is_counted:
            self.is_counted = True
            self.count(self.argument(0, "key"), self.argument(3, "version"), was_found)

    def record_error(self, operation: str, error: Exception) -> None:
        """Count nothing: a nested call has, unless the callable of the app raised."""

    def record(self, result: Any) -> None:
        """Count the key if no nested call did, and the result shows whether it was found."""
        default = self.argument(1, "default")
        if not self.is_counted and not callable(default):
            self.count_nested(result is not default)


def nearest(call: Call | None, cache: object) -> Call | None:
    """Return the innermost current call of ``cache``."""
    while call is not None and call.cache is not cache:
        call = call.parent
    return call


def _is_same(key: Any, other: Any) -> bool:
    return key is other or bool(key == other)
