"""Instrument every backend that ``django.core.cache.caches`` creates.

The class of a backend is replaced by a subclass with the same name, whose methods measure and
call the original ones. ``isinstance``, copies and pickles see the original class. ``lookups``
counts hits and misses, ``local_sizes`` and ``shared_sizes`` the entries.

``get``, ``get_many``, ``get_or_set``, ``has_key``, ``in`` and their async forms count each key
once. Methods that change an entry are no lookups, and a method that raises counts nothing. A
stored None is a hit, but a miss in backends whose ``get`` is neither Django's nor
django-redis'.
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
from tachikoma_metrics.cache import local_sizes
from tachikoma_metrics.cache.calls import Method, current, nearest
from tachikoma_metrics.cache.defaults import has_known_client
from tachikoma_metrics.cache.local_sizes import LocalCache
from tachikoma_metrics.cache.lookups import (
    ASYNC_METHODS,
    OPERATIONS,
    SYNC_METHODS,
    begin_timing,
    call,
    call_async,
    end_timing,
    get,
    is_simple,
)
from tachikoma_metrics.cache.shared_sizes import query_sizes
from tachikoma_metrics.recording.events import CACHE_ERROR
from tachikoma_metrics.recording.subclasses import (
    imitating,
    is_measured_class,
    measured_subclass,
    reduce_as_original,
    set_class,
)
from tachikoma_metrics.registry import METRICS

_MAX_CLASSES = 256
_METHODS = {**SYNC_METHODS, **ASYNC_METHODS}


class CacheInstrument:
    """The state of one cache that its measuring methods share.

    ``labels`` are the label values; ``local`` has the entries of a cache in local memory.
    ``has_known_client`` is whether its client is known to return any default unchanged,
    ``is_timed`` whether operations are, ``is_used`` whether the cache was used in this process,
    and ``has_fast_path`` whether a ``get`` may take it.
    """

    __slots__ = (
        "alias",
        "has_fast_path",
        "has_known_client",
        "is_on",
        "is_timed",
        "is_used",
        "labels",
        "local",
    )

    def __init__(self, alias: str) -> None:
        self.alias = alias
        self.labels = (alias,)
        self.local: LocalCache | None = None
        self.has_known_client = self.is_used = False
        self.read_settings()

    def read_settings(self) -> None:
        """Read what is recorded, after the settings or the client changed."""
        settings = conf.config()
        self.is_on = settings.instruments_cache(self.alias)
        self.is_timed = self.is_on and settings.times_caches
        is_plain = self.has_known_client and not self.is_timed
        self.has_fast_path = self.is_on and is_plain and self.is_used

    def begin_use(self, backend: Any) -> None:
        """Expose that no operation has failed, before the first one. Never raises.

        Not where the object is made: a check or a scrape makes one as well, and claims no file.
        """
        try:
            if nearest(current.get(), backend) is None:
                self.is_used = True
                self.read_settings()
                CACHE_ERROR.initialize(self.labels)
        except Exception as error:
            METRICS.count_error("cache", error, self.alias)

    def forget_use(self) -> None:
        """Take the next operation for the first one."""
        self.is_used = self.has_fast_path = False

    def set_local_entries(self, entries: Mapping[Any, Any] | None) -> None:
        """Set the entries of a cache in local memory; None for another."""
        if entries is None:
            self.local = None
        elif self.local is None or self.local.entries is not entries:
            self.local = LocalCache(self.alias, entries)
        self.register_local()

    def register_local(self) -> None:
        """Register the entries in local memory if the cache is measured."""
        local_sizes.register(self.alias, self.local if self.is_on else None)

    def record_size(self) -> None:
        """Record the number of entries in local memory if it changed. Never raises."""
        local = self.local
        try:
            if local is not None and len(local.entries) != local.recorded:
                local.record()
        except Exception as error:
            METRICS.count_error("cache", error, self.alias)


_instruments: dict[str, CacheInstrument] = {}


def install() -> None:
    """Instrument every cache from now on, and those that this thread has. Opens nothing."""
    if vars(caches).get("create_connection") is _create_connection:
        return
    caches.create_connection = _create_connection  # type: ignore[method-assign]
    METRICS.set_function(catalogue.CACHE_SIZE, query_sizes)
    METRICS.on_reset(_forget_uses)
    conf.on_change(_on_settings_changed)
    setting_changed.connect(_on_caches_changed, dispatch_uid="tachikoma_metrics.cache.backends")
    _instrument_existing()


def _instrument_existing() -> None:
    """Instrument the caches that this thread has."""
    existing: Any = vars(caches)["_connections"]
    for alias in vars(caches).get("settings", ()):
        if hasattr(existing, alias):
            _instrument(getattr(existing, alias), alias)


def _create_connection(alias: str) -> Any:
    # Looked up on each call, since other instrumentation may replace it.
    backend = type(caches).create_connection(caches, alias)
    _instrument(backend, alias)
    return backend


def _instrument(backend: Any, alias: str) -> None:
    """Instrument a backend, unless the settings exclude its cache.

    A backend whose class cannot be replaced is left alone, and counts as an instrumentation
    error.
    """
    original: Any = type(backend)
    try:
        if is_measured_class(original) or not conf.config().instruments_cache(alias):
            return
        instrument = _instrument_of(alias)
        instrument.has_known_client = has_known_client(backend)
        instrument.read_settings()
        entries = vars(backend)["_cache"] if isinstance(backend, LocMemCache) else None
        instrument.set_local_entries(entries)
        set_class(backend, _measured_class(original, alias))
        for name, method in _replaced_methods(backend).items():
            vars(backend)[name] = _measure_replaced(backend, name, method, instrument)
    except Exception as error:
        METRICS.count_error("cache", error, alias)


def _instrument_of(alias: str) -> CacheInstrument:
    return _instruments.setdefault(alias, CacheInstrument(alias))


def _on_caches_changed(*, setting: str, **_: object) -> None:
    if setting == "CACHES":
        local_sizes.clear()
        for instrument in list(_instruments.values()):
            instrument.local = None
            instrument.forget_use()


def _forget_uses() -> None:
    for instrument in list(_instruments.values()):
        instrument.forget_use()


def _on_settings_changed() -> None:
    local_sizes.clear()
    for instrument in list(_instruments.values()):
        instrument.read_settings()
        instrument.register_local()
    _instrument_existing()


def _replaced_methods(backend: Any) -> dict[str, Method]:
    """Return the methods that other instrumentation has set on the object itself."""
    attributes = getattr(backend, "__dict__", {})
    return {name: attributes[name] for name in _METHODS if callable(attributes.get(name))}


def _is_original(value: Any, backend: Any, original: Any, name: str) -> bool:
    function = getattr(value, "__func__", None)
    return getattr(value, "__self__", None) is backend and function is getattr(original, name, 0)


def _measure_replaced(
    backend: Any, name: str, method: Method, instrument: CacheInstrument
) -> Callable[..., Any]:
    """Return a measuring form of ``method``, which is set on the object itself."""
    measuring = _measuring(method, name, instrument, lambda backend: method)
    return imitating(functools.partial(measuring, backend), method)


@functools.lru_cache(_MAX_CLASSES)
def _measured_class(original: Any, alias: str) -> Any:
    """Return the subclass of a backend's class that measures for ``alias``."""
    instrument = _instrument_of(alias)

    def __setattr__(backend: Any, name: str, value: Any) -> None:
        # Other code may have replaced a method, and now restores the original one.
        if name in _METHODS and _is_original(value, backend, original, name):
            value = _measure_replaced(backend, name, value, instrument)
        super(measured, backend).__setattr__(name, value)

    members = {"__reduce_ex__": reduce_as_original, "__setattr__": __setattr__}
    measured: Any = measured_subclass(
        original, members, functools.partial(_measured_class, alias=alias)
    )
    for name in _METHODS:
        method = getattr(original, name, None)
        if method is not None and iscoroutinefunction(method) == (name in ASYNC_METHODS):
            find = _find_original(measured, name)
            setattr(measured, name, _measuring(method, name, instrument, find))
    if "get" in vars(measured):
        measured.get = _fast_get(measured.get, measured, instrument)
    return measured


def _fast_get(
    general: Callable[..., Any], measured: type[Any], instrument: CacheInstrument
) -> Callable[..., Any]:
    """Return ``general``, with a fast path for its most frequent form."""

    def fast_get(backend: Any, *args: Any, **kwargs: Any) -> Any:
        method = super(measured, backend).get
        is_plain = instrument.has_fast_path and args and not kwargs
        if not is_plain or not is_simple(method):
            return general(backend, *args, **kwargs)
        try:
            return get(instrument.labels, method, *args)
        finally:
            instrument.record_size()

    return imitating(fast_get, general)


def _find_original(measured: type[Any], name: str) -> Callable[[Any], Method]:
    # Looked up on each call, since a test may patch the original class.
    return lambda backend: getattr(super(measured, backend), name)


def _measuring(
    method: Method, name: str, instrument: CacheInstrument, find: Callable[[Any], Method]
) -> Callable[..., Any]:
    """Return a method like ``method`` that calls the one ``find`` returns, and measures."""
    kind, operation = _METHODS[name], OPERATIONS[name]

    async def measuring_async(backend: Any, *args: Any, **kwargs: Any) -> Any:
        original = find(backend)
        if not instrument.is_on:
            return await original(*args, **kwargs)
        if not instrument.is_used:
            instrument.begin_use(backend)
        started_at = begin_timing(backend) if instrument.is_timed else None
        try:
            return await call_async(
                operation, kind, instrument.labels, backend, original, args, kwargs
            )
        finally:
            if started_at is not None:
                end_timing(operation, instrument.labels, started_at)
            instrument.record_size()

    def measuring(backend: Any, *args: Any, **kwargs: Any) -> Any:
        original = find(backend)
        if not instrument.is_on:
            return original(*args, **kwargs)
        if not instrument.is_used:
            instrument.begin_use(backend)
        started_at = begin_timing(backend) if instrument.is_timed else None
        try:
            return call(operation, kind, instrument.labels, backend, original, args, kwargs)
        finally:
            if started_at is not None:
                end_timing(operation, instrument.labels, started_at)
            instrument.record_size()

    return imitating(measuring_async if iscoroutinefunction(method) else measuring, method)
