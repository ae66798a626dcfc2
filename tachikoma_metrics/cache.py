"""Caches: every backend that ``django.core.cache.caches`` makes counts its look-ups.

A backend keeps its class for ``isinstance``, for copies and for pickles: its own is a
subclass of it, with the same name, whose methods call those of the class and watch.
``lookups`` tells what counts, ``sizes`` how many entries there are.

A key counts once: ``get``, ``get_many``, ``get_or_set``, ``has_key``, ``in`` and the async
forms. What changes an entry is no look-up. Where a method raises, nothing counts. A stored
None is a hit, but a miss in backends whose ``get`` is neither Django's nor django-redis'.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.signals import setting_changed

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.lookups import (
    ASYNC_KINDS,
    KINDS,
    Inner,
    call,
    call_async,
    get,
    has_known_client,
    is_simple,
)
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.sizes import LocalCache, asked, import_libraries, show_local, withdraw_local

_MARK = "_is_watched_by_tachikoma_metrics"
_MOST_CLASSES = 256
_METHODS = {**KINDS, **ASYNC_KINDS}


class Watch:
    """What is to be known of a cache by whoever calls it.

    ``facts`` are the label values, ``local`` its entries if this process alone has them;
    ``has_known_client`` tells whether what it hands a default to is known to hand it back.
    """

    __slots__ = ("alias", "facts", "has_known_client", "is_on", "local")

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.facts = (alias,)
        self.is_on = conf.config().instruments_cache(alias)
        self.local: LocalCache | None = None
        self.has_known_client = False

    def follow(self, entries: Mapping[Any, Any] | None) -> None:
        """Know the entries, if this process alone has them."""
        if entries is None:
            self.local = None
        elif self.local is None or self.local.entries is not entries:
            self.local = LocalCache(self.alias, entries)
        self.show()

    def show(self) -> None:
        """Have the entries shown if the cache is measured and they are known here."""
        show_local(self.alias, self.local if self.is_on else None)

    def tell(self) -> None:
        """Tell how many entries there are, if that has changed. Never raises."""
        local = self.local
        try:
            if local is not None and len(local.entries) != local.known:
                local.tell()
        except Exception as error:
            METRICS.fault("cache", error, self.alias)


_watches: dict[str, Watch] = {}


def install() -> None:
    """Watch every cache from now on, and those this thread has made. Opens nothing."""
    if vars(caches).get("create_connection") is _create_connection:
        return
    caches.create_connection = _create_connection  # type: ignore[method-assign]
    import_libraries()
    METRICS.ask(catalogue.CACHE_SIZE, asked)
    conf.when_changed(_follow_settings)
    setting_changed.connect(_follow_caches, dispatch_uid="tachikoma_metrics.cache")
    made: Any = vars(caches)["_connections"]
    for alias in vars(caches).get("settings", ()):
        if hasattr(made, alias):
            _watch(getattr(made, alias), alias)


def _create_connection(alias: str) -> Any:
    # Looked up each time: others replace it, too.
    backend = type(caches).create_connection(caches, alias)
    _watch(backend, alias)
    return backend


def _watch(backend: Any, alias: str) -> None:
    """Have a backend count; one that cannot be made to is left as it is, with a fault."""
    original: Any = type(backend)
    if hasattr(original, _MARK):
        return
    try:
        watch = _watch_of(alias)
        watch.has_known_client = has_known_client(backend)
        watch.follow(vars(backend)["_cache"] if isinstance(backend, LocMemCache) else None)
        # Not by the backend's own __setattr__, which may do something else.
        object.__setattr__(backend, "__class__", _watched(original, alias))
        for name, method in _hidden(backend).items():
            counting = _counting(method, name, watch, _itself(method))
            vars(backend)[name] = functools.partial(counting, backend)
    except Exception as error:
        METRICS.fault("cache", error, alias)


def _watch_of(alias: str) -> Watch:
    return _watches.setdefault(alias, Watch(alias))


def _follow_caches(*, setting: str, **_: object) -> None:
    if setting == "CACHES":
        withdraw_local()
        for watch in list(_watches.values()):
            watch.local = None


def _follow_settings() -> None:
    withdraw_local()
    for watch in list(_watches.values()):
        watch.is_on = conf.config().instruments_cache(watch.alias)
        watch.show()


def _hidden(backend: Any) -> dict[str, Inner]:
    """Return the methods that another instrument has put in the place of the class's."""
    own = getattr(backend, "__dict__", {})
    return {name: own[name] for name in _METHODS if callable(own.get(name))}


def _itself(method: Inner) -> Callable[[Any], Inner]:
    return lambda backend: method


@functools.lru_cache(_MOST_CLASSES)
def _watched(original: Any, alias: str) -> Any:
    """Return the subclass of a backend's class that counts for ``alias``."""
    watch = _watch_of(alias)
    namespace: dict[str, Any] = {
        "__slots__": (),
        "__module__": original.__module__,
        "__qualname__": original.__qualname__,
        "__doc__": original.__doc__,
        "__class__": property(lambda backend: original),
        "__reduce_ex__": _reduce_ex,
        _MARK: True,
    }
    watched: Any = type(original)(original.__name__, (original,), namespace)
    for name in _METHODS:
        method = getattr(original, name, None)
        if method is not None and iscoroutinefunction(method) == (name in ASYNC_KINDS):
            setattr(watched, name, _counting(method, name, watch, _of_class(watched, name)))
    if "get" in vars(watched):
        watched.get = _quick(watched.get, watched, watch)
    return watched


def _quick(general: Callable[..., Any], watched: type[Any], watch: Watch) -> Callable[..., Any]:
    """Return ``general``, with a short way for what is called most often by far."""

    @functools.wraps(general)
    def quick(backend: Any, *args: Any, **kwargs: Any) -> Any:
        inner = super(watched, backend).get
        is_plain = watch.is_on and watch.has_known_client and args and not kwargs
        if not is_plain or not is_simple(inner):
            return general(backend, *args, **kwargs)
        try:
            return get(watch.facts, inner, *args)
        finally:
            watch.tell()

    return quick


def _of_class(watched: type[Any], name: str) -> Callable[[Any], Inner]:
    # Looked up at each call, for a test may have replaced it.
    return lambda backend: getattr(super(watched, backend), name)


def _counting(
    method: Inner, name: str, watch: Watch, find: Callable[[Any], Inner]
) -> Callable[..., Any]:
    """Return a method like ``method`` that calls the one ``find`` returns, and counts."""
    kind = _METHODS[name]
    if iscoroutinefunction(method):

        @functools.wraps(method)
        async def counting(backend: Any, *args: Any, **kwargs: Any) -> Any:
            inner = find(backend)
            if not watch.is_on:
                return await inner(*args, **kwargs)
            try:
                return await call_async(kind, watch.facts, backend, inner, args, kwargs)
            finally:
                watch.tell()

    else:

        @functools.wraps(method)
        def counting(backend: Any, *args: Any, **kwargs: Any) -> Any:
            inner = find(backend)
            if not watch.is_on:
                return inner(*args, **kwargs)
            try:
                return call(kind, watch.facts, backend, inner, args, kwargs)
            finally:
                watch.tell()

    return counting


def _reduce_ex(backend: Any, protocol: Any) -> Any:
    """Copy and pickle a backend as one of its own class."""
    watched = type(backend)
    original = watched.__mro__[1]
    reduced = super(watched, backend).__reduce_ex__(protocol)
    if isinstance(reduced, str):
        return reduced
    make, args, *rest = reduced
    args = tuple(original if arg is watched else arg for arg in args)
    return (original if make is watched else make, args, *rest)
