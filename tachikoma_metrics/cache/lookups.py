"""Calls of a cache's methods, and the keys that each looks up.

Backends call their own methods: ``get_or_set`` calls ``get``, ``incr`` may, and the async
forms call the sync ones in another thread. So that each key counts once, and what is no
look-up not at all, a call is in the context while it runs: another of the same cache, made
inside it, is a part of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

from tachikoma_metrics.recording.events import CACHE_HIT, CACHE_MISS
from tachikoma_metrics.registry import METRICS

_MISSING = object()
"""Stands for no value where a stored None has to be told from it."""

_MODULES_THAT_HAND_BACK_THE_DEFAULT = ("django.core.cache.backends.", "django_redis.cache")
_MODULES_OF_CLIENTS = ("django.core.cache.backends.", "django_redis.", "pymemcache.", "pylibmc")
_MODULES_OF_PARTS = ("django.core.cache.backends.base", "django.core.cache.backends.db")
_ONE = (1.0,)

_current: ContextVar[Call | None] = ContextVar("cache_call", default=None)

Inner = Callable[..., Any]


class Call:
    """A call that looks nothing up: what its parts look up does not count.

    ``alias`` is the cache's, in a tuple, ``inner`` the method that is called with ``args``
    and ``kwargs``. ``around`` is the call that this one was made in, of whichever cache.
    """

    __slots__ = ("alias", "args", "around", "asker", "cache", "kwargs")

    def __init__(
        self,
        alias: tuple[str],
        cache: object,
        around: Call | None,
        inner: Inner,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.alias = alias
        self.cache: object = cache
        self.around = around
        self.args = args
        self.kwargs = kwargs
        self.asker = None if around is None else _nearest(around, cache)

    def wants(self, key: object, version: object) -> bool:
        """Tell whether looking up ``key`` is a part of this call."""
        return True

    def decide(self, was_found: bool) -> None:
        """Be told by a part whether the key was found."""

    def end(self) -> None:
        """Leave the context; a task that was begun inside and goes on is no part any more."""
        # A coroutine may be closed in another context than it ran in.
        if _current.get() is self:
            _current.set(self.around)
        self.cache = self.around = None

    def conclude(self, result: Any) -> None:
        """Count what was looked up."""

    def returned(self, result: Any) -> Any:
        """Return what the caller is to get."""
        return result

    def argument(self, place: int, name: str) -> Any:
        """Return an argument by its place or else its name; None without it."""
        return self.args[place] if len(self.args) > place else self.kwargs.get(name)

    def count(self, key: object, version: object, was_found: bool) -> None:
        """Count one key, unless the call that this one is made in does."""
        if self.asker is not None and self.asker.wants(key, version):
            self.asker.decide(was_found)
        else:
            (CACHE_HIT if was_found else CACHE_MISS).record_valid(self.alias, _ONE)


class Get(Call):
    """A call that looks one key up and returns its value, or else the default."""

    __slots__ = ("default", "passed")

    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.default = self.passed = self.argument(1, "default")
        if self.tells_none(facts[3]):
            self.passed = _MISSING
            if len(self.args) > 1:
                self.args = (self.args[0], _MISSING, *self.args[2:])
            else:
                self.kwargs = {**self.kwargs, "default": _MISSING}

    def tells_none(self, inner: Inner) -> bool:
        """Tell whether the method takes any default, and does nothing but hand it back."""
        is_known = hands_back_the_default(getattr(inner, "__func__", None))
        return is_known and has_known_client(self.cache)

    def conclude(self, result: Any) -> None:
        """Count a miss if the default came back, else a hit."""
        key, version = self.argument(0, "key"), self.argument(2, "version")
        self.count(key, version, result is not self.passed)

    def returned(self, result: Any) -> Any:
        """Return the caller's own default in the place of ours."""
        return self.default if result is _MISSING else result


class AsyncGet(Get):
    """An async ``Get``, which may hand its arguments to the sync method."""

    __slots__ = ()

    def tells_none(self, inner: Inner) -> bool:
        """Tell whether that is so of both methods."""
        own = vars(self.cache).get("get") if hasattr(self.cache, "__dict__") else None
        # The class that the app's own is hidden behind is the next one.
        sync = getattr(type(self.cache).__mro__[1], "get", None) if own is None else None
        return super().tells_none(inner) and hands_back_the_default(sync)


class Has(Call):
    """A call that tells whether a key is there."""

    __slots__ = ()

    def conclude(self, result: Any) -> None:
        """Count the key."""
        self.count(self.argument(0, "key"), self.argument(1, "version"), bool(result))


class GetMany(Call):
    """A call that looks many keys up and returns those that were found, with their values."""

    __slots__ = ("keys",)

    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.keys: Iterable[Any] = self.argument(0, "keys")
        if isinstance(self.keys, Sized) or not isinstance(self.keys, Iterable):
            return
        # What can only be iterated may be so only once.
        noted: list[Any] = []
        passed = self._noted(self.keys, noted)
        if self.args:
            self.args = (passed, *self.args[1:])
        else:
            self.kwargs = {**self.kwargs, "keys": passed}
        self.keys = noted

    def _noted(self, keys: Iterable[Any], noted: list[Any]) -> Iterator[Any]:
        # Whatever makes the keys may look some up itself, which counts.
        self._be_within(self.around)
        try:
            for key in keys:
                noted.append(key)
                self._be_within(self)
                yield key
                self._be_within(self.around)
        finally:
            self._be_within(self)

    def _be_within(self, call: Call | None) -> None:
        # Who reads on when this call is over is within another.
        if self.cache is not None:
            _current.set(call)

    def conclude(self, result: Any) -> None:
        """Count each key, once however often it was named."""
        keys, version = set(self.keys), self.argument(1, "version")
        if self.asker is not None:
            for key in keys:
                self.count(key, version, key in result)
            return
        hits = len(result)
        CACHE_HIT.record_valid(self.alias, (float(hits),))
        CACHE_MISS.record_valid(self.alias, (float(max(len(keys) - hits, 0)),))


class GetOrSet(Call):
    """A call that looks a key up and, if it is missing, sets it.

    The first look at the key decides, and later ones are parts of the call; of other keys
    they are made by the callable that makes the value, and count.
    """

    __slots__ = ("is_decided",)

    def __init__(self, *facts: Any) -> None:
        super().__init__(*facts)
        self.is_decided = False

    def wants(self, key: object, version: object) -> bool:
        """Tell whether looking up ``key`` is a part of this call."""
        return _is_same(key, self.argument(0, "key")) and version == self.argument(3, "version")

    def decide(self, was_found: bool) -> None:
        """Count the key, once."""
        if not self.is_decided:
            self.is_decided = True
            self.count(self.argument(0, "key"), self.argument(3, "version"), was_found)

    def conclude(self, result: Any) -> None:
        """Count the key if no part of the call did, and the result tells."""
        default = self.argument(1, "default")
        if not self.is_decided and not callable(default):
            self.decide(result is not default)


@contextmanager
def uncounted(cache: Any, alias: str) -> Iterator[None]:
    """Have what is looked up in ``cache`` count for nothing, while the block lasts."""
    call = Call((alias,), cache, _current.get(), cache.get, (), {})
    try:
        _current.set(call)
        yield
    finally:
        call.end()


KINDS: dict[str, type[Call]] = {
    "get": Get,
    "get_many": GetMany,
    "get_or_set": GetOrSet,
    "has_key": Has,
    "__contains__": Has,
    **dict.fromkeys(("add", "set", "touch", "delete", "incr", "decr"), Call),
    **dict.fromkeys(("set_many", "delete_many", "incr_version", "decr_version", "clear"), Call),
}
"""The sync methods that look keys up, or may have to in order to do something else."""

ASYNC_KINDS: dict[str, type[Call]] = {
    f"a{name}": AsyncGet if kind is Get else kind
    for name, kind in KINDS.items()
    if name != "__contains__"
}
"""The async ones."""


def call(
    kind: type[Call], alias: tuple[str], cache: object, inner: Inner, args: Any, kwargs: Any
) -> Any:
    """Return what ``inner`` returns, and count what it looks up."""
    under_way = _begun(kind, alias, cache, inner, args, kwargs)
    if under_way is None:
        return inner(*args, **kwargs)
    try:
        try:
            _current.set(under_way)
            result = inner(*under_way.args, **under_way.kwargs)
        finally:
            under_way.end()
        return _concluded(under_way, result)
    except BaseException:
        under_way.end()
        raise


async def call_async(
    kind: type[Call],
    alias: tuple[str],
    cache: object,
    inner: Callable[..., Awaitable[Any]],
    args: Any,
    kwargs: Any,
) -> Any:
    """Return what ``inner`` returns, and count what it looks up."""
    under_way = _begun(kind, alias, cache, inner, args, kwargs)
    if under_way is None:
        return await inner(*args, **kwargs)
    try:
        try:
            _current.set(under_way)
            result = await inner(*under_way.args, **under_way.kwargs)
        finally:
            under_way.end()
        return _concluded(under_way, result)
    except BaseException:
        under_way.end()
        raise


def is_simple(inner: Inner) -> bool:
    """Tell whether a call of a ``get`` has no parts, and is no part of another."""
    return _current.get() is None and _has_no_parts(getattr(inner, "__func__", None))


def get(alias: tuple[str], inner: Inner, key: Any, default: Any = None, *rest: Any) -> Any:
    """Return what a simple ``inner`` returns, and count the key; ``call``, but quick."""
    value = inner(key, _MISSING, *rest)
    if value is _MISSING:
        CACHE_MISS.record_valid(alias, _ONE)
        return default
    CACHE_HIT.record_valid(alias, _ONE)
    return value


def _begun(
    kind: type[Call], alias: tuple[str], cache: object, inner: Inner, args: Any, kwargs: Any
) -> Call | None:
    """Return the call, now under way; None if it is a part of another and counts nothing."""
    around = _current.get()
    try:
        asker = None if around is None else _nearest(around, cache)
        if asker is not None and not isinstance(asker, GetOrSet):
            return None
        return kind(alias, cache, around, inner, args, kwargs)
    except Exception as error:
        METRICS.count_error("cache", error, alias[0])
        return None


def _concluded(under_way: Call, result: Any) -> Any:
    try:
        under_way.conclude(result)
    except Exception as error:
        METRICS.count_error("cache", error, under_way.alias[0])
    return under_way.returned(result)


def _nearest(call: Call | None, cache: object) -> Call | None:
    """Return the innermost call of ``cache`` that is under way."""
    while call is not None and call.cache is not cache:
        call = call.around
    return call


def _is_same(key: Any, other: Any) -> bool:
    return key is other or bool(key == other)


def has_known_client(cache: Any) -> bool:
    """Tell whether the client that a backend hands the default to is not the app's own."""
    own = getattr(cache, "__dict__", {})
    clients = (own.get("_class"), own.get("_client_cls"))
    modules = [str(getattr(one, "__module__", one)) for one in clients if one is not None]
    return all(module.startswith(_MODULES_OF_CLIENTS) for module in modules)


@lru_cache(64)
def _has_no_parts(function: Any) -> bool:
    calls_others = getattr(function, "__module__", None) in _MODULES_OF_PARTS
    return hands_back_the_default(function) and not calls_others


@lru_cache(64)
def hands_back_the_default(function: Any) -> bool:
    """Tell whether a ``get`` is known to take any default, and only to hand it back.

    Of those of Django and django-redis that is known; of one that somebody wrapped it is not.
    """
    module = getattr(function, "__module__", None) or ""
    return module.startswith(_MODULES_THAT_HAND_BACK_THE_DEFAULT) and not hasattr(
        function, "__wrapped__"
    )
