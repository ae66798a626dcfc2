"""Call a cache's methods, and count the keys that they look up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from tachikoma_metrics.cache.calls import (
    ONE,
    AsyncGet,
    Call,
    Get,
    GetMany,
    GetOrSet,
    HasKey,
    Increment,
    Method,
    current,
    nearest,
)
from tachikoma_metrics.cache.defaults import MISSING, is_atomic
from tachikoma_metrics.recording.events import CACHE_ERROR, CACHE_HIT, CACHE_MISS, CACHE_OPERATION
from tachikoma_metrics.registry import METRICS

SYNC_METHODS: dict[str, type[Call]] = {
    "get": Get,
    "get_many": GetMany,
    "get_or_set": GetOrSet,
    "has_key": HasKey,
    "__contains__": HasKey,
    **dict.fromkeys(("add", "set", "touch", "delete", "set_many", "delete_many", "clear"), Call),
    **dict.fromkeys(("incr", "decr", "incr_version", "decr_version"), Increment),
}
"""The sync methods that look up keys, or may do so in order to change entries."""

ASYNC_METHODS: dict[str, type[Call]] = {
    f"a{name}": AsyncGet if kind is Get else kind
    for name, kind in SYNC_METHODS.items()
    if name != "__contains__"
}
"""Their async forms."""

OPERATIONS: dict[str, str] = {
    **{name: name for name in SYNC_METHODS},
    **{name: name[1:] for name in ASYNC_METHODS},
    "__contains__": "has_key",
}
"""The values of the label ``operation``, by the names of methods."""


def call(
    operation: str,
    kind: type[Call],
    labels: tuple[str],
    cache: object,
    method: Method,
    args: Any,
    kwargs: Any,
) -> Any:
    """Return the result of ``method``, and count the keys that it looks up, or its error."""
    started = _start(kind, labels, cache, method, args, kwargs)
    if started is None:
        return method(*args, **kwargs)
    try:
        try:
            current.set(started)
            result = method(*started.args, **started.kwargs)
        finally:
            started.end()
        return _finish(started, result)
    except BaseException as error:
        started.end()
        _record_error(started, operation, error)
        raise


async def call_async(
    operation: str,
    kind: type[Call],
    labels: tuple[str],
    cache: object,
    method: Callable[..., Awaitable[Any]],
    args: Any,
    kwargs: Any,
) -> Any:
    """Return the result of ``method``, and count the keys that it looks up, or its error."""
    started = _start(kind, labels, cache, method, args, kwargs)
    if started is None:
        return await method(*args, **kwargs)
    try:
        try:
            current.set(started)
            result = await method(*started.args, **started.kwargs)
        finally:
            started.end()
        return _finish(started, result)
    except BaseException as error:
        started.end()
        _record_error(started, operation, error)
        raise


def is_simple(method: Method) -> bool:
    """Return whether a call of a ``get`` has no nested calls, and is not nested itself."""
    return current.get() is None and is_atomic(getattr(method, "__func__", None))


def get(labels: tuple[str], method: Method, key: Any, default: Any = None, *rest: Any) -> Any:
    """Return the result of a simple ``method``, and count the key: the fast form of ``call``."""
    try:
        value = method(key, MISSING, *rest)
    except Exception:
        CACHE_ERROR.record_valid((*labels, "get"), ONE)
        raise
    if value is MISSING:
        CACHE_MISS.record_valid(labels, ONE)
        return default
    CACHE_HIT.record_valid(labels, ONE)
    return value


def begin_timing(cache: object) -> float | None:
    """Return the time at which an operation of ``cache`` begins; None within another one."""
    try:
        return perf_counter() if nearest(current.get(), cache) is None else None
    except Exception as error:
        METRICS.count_error("cache", error)
        return None


def end_timing(operation: str, labels: tuple[str], started_at: float) -> None:
    """Record an operation that began at ``started_at``. Never raises."""
    now = perf_counter()
    CACHE_OPERATION.record_valid((operation, *labels), (1.0, now - started_at), None, now)


@contextmanager
def uncounted(cache: Any, alias: str) -> Iterator[None]:
    """Count no lookup in ``cache`` within the block."""
    started = Call((alias,), cache, current.get(), cache.get, (), {})
    try:
        current.set(started)
        yield
    finally:
        started.end()


def _start(
    kind: type[Call], labels: tuple[str], cache: object, method: Method, args: Any, kwargs: Any
) -> Call | None:
    """Return a new call; None for a nested one that counts nothing."""
    parent = current.get()
    try:
        enclosing = None if parent is None else nearest(parent, cache)
        if enclosing is not None and not isinstance(enclosing, GetOrSet):
            return None
        return kind(labels, cache, parent, method, args, kwargs)
    except Exception as error:
        METRICS.count_error("cache", error, labels[0])
        return None


def _finish(started: Call, result: Any) -> Any:
    try:
        started.record(result)
    except Exception as error:
        METRICS.count_error("cache", error, started.labels[0])
    return started.result_for_caller(result)


def _record_error(started: Call, operation: str, error: BaseException) -> None:
    if not isinstance(error, Exception):
        return
    try:
        started.record_error(operation, error)
    except Exception as failure:
        METRICS.count_error("cache", failure, started.labels[0])
