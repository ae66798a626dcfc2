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
from tachikoma_metrics.cache.lookups import (
    ASYNC_KINDS,
    KINDS,
    Inner,
    call,
    call_async,
    get,
    has_known_client,
    is_simple,
)
from tachikoma_metrics.cache.sizes import LocalCache, asked, show_local, withdraw_local
from tachikoma_metrics.recording.subclasses import (
    alike,
    derived,
    give,
    is_derived,
    reduce_as_original,
)
from tachikoma_metrics.registry import METRICS

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
            METRICS.count_error("cache", error, self.alias)


_watches: dict[str, Watch] = {}


def install() -> None:
    """Watch every cache from now on, and those this thread has made. Opens nothing."""
    if vars(caches).get("create_connection") is _create_connection:
        return
    caches.create_connection = _create_connection  # type: ignore[method-assign]
    METRICS.set_function(catalogue.CACHE_SIZE, asked)
    conf.on_change(_follow_settings)
    setting_changed.connect(_follow_caches, dispatch_uid="tachikoma_metrics.cache.backends")
    _watch_made()


def _watch_made() -> None:
    """Watch the caches that this thread has made."""
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
    """Have a backend count, unless it is not to; one that cannot is left as it is, with a fault.

    Settings are looked at when it is made, and whenever they change.
    """
    original: Any = type(backend)
    try:
        if is_derived(original) or not conf.config().instruments_cache(alias):
            return
        watch = _watch_of(alias)
        watch.has_known_client = has_known_client(backend)
        watch.follow(vars(backend)["_cache"] if isinstance(backend, LocMemCache) else None)
        give(backend, _watched(original, alias))
        for name, method in _hidden(backend).items():
            vars(backend)[name] = _counting_for(backend, name, method, watch)
    except Exception as error:
        METRICS.count_error("cache", error, alias)


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
    _watch_made()


def _hidden(backend: Any) -> dict[str, Inner]:
    """Return the methods that another instrument has put in the place of the class's."""
    own = getattr(backend, "__dict__", {})
    return {name: own[name] for name in _METHODS if callable(own.get(name))}


def _is_own(value: Any, backend: Any, original: Any, name: str) -> bool:
    function = getattr(value, "__func__", None)
    return getattr(value, "__self__", None) is backend and function is getattr(original, name, 0)


def _counting_for(backend: Any, name: str, method: Inner, watch: Watch) -> Callable[..., Any]:
    """Return what calls ``method``, which stands on the backend itself, and counts."""
    counting = _counting(method, name, watch, lambda backend: method)
    return alike(functools.partial(counting, backend), method)


@functools.lru_cache(_MOST_CLASSES)
def _watched(original: Any, alias: str) -> Any:
    """Return the subclass of a backend's class that counts for ``alias``."""
    watch = _watch_of(alias)

    def __setattr__(backend: Any, name: str, value: Any) -> None:
        # Other code may have kept the class's own method before, and puts that back.
        if name in _METHODS and _is_own(value, backend, original, name):
            value = _counting_for(backend, name, value, watch)
        super(watched, backend).__setattr__(name, value)

    members = {"__reduce_ex__": reduce_as_original, "__setattr__": __setattr__}
    watched: Any = derived(original, members, functools.partial(_watched, alias=alias))
    for name in _METHODS:
        method = getattr(original, name, None)
        if method is not None and iscoroutinefunction(method) == (name in ASYNC_KINDS):
            setattr(watched, name, _counting(method, name, watch, _of_class(watched, name)))
    if "get" in vars(watched):
        watched.get = _quick(watched.get, watched, watch)
    return watched


def _quick(general: Callable[..., Any], watched: type[Any], watch: Watch) -> Callable[..., Any]:
    """Return ``general``, with a short way for what is called most often by far."""

    def quick(backend: Any, *args: Any, **kwargs: Any) -> Any:
        inner = super(watched, backend).get
        is_plain = watch.is_on and watch.has_known_client and args and not kwargs
        if not is_plain or not is_simple(inner):
            return general(backend, *args, **kwargs)
        try:
            return get(watch.facts, inner, *args)
        finally:
            watch.tell()

    return alike(quick, general)


def _of_class(watched: type[Any], name: str) -> Callable[[Any], Inner]:
    # Looked up at each call, for a test may have replaced it.
    return lambda backend: getattr(super(watched, backend), name)


def _counting(
    method: Inner, name: str, watch: Watch, find: Callable[[Any], Inner]
) -> Callable[..., Any]:
    """Return a method like ``method`` that calls the one ``find`` returns, and counts."""
    kind = _METHODS[name]

    async def counting_async(backend: Any, *args: Any, **kwargs: Any) -> Any:
        inner = find(backend)
        if not watch.is_on:
            return await inner(*args, **kwargs)
        try:
            return await call_async(kind, watch.facts, backend, inner, args, kwargs)
        finally:
            watch.tell()

    def counting(backend: Any, *args: Any, **kwargs: Any) -> Any:
        inner = find(backend)
        if not watch.is_on:
            return inner(*args, **kwargs)
        try:
            return call(kind, watch.facts, backend, inner, args, kwargs)
        finally:
            watch.tell()

    return alike(counting_async if iscoroutinefunction(method) else counting, method)
