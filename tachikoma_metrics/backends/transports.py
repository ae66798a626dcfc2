"""Proxies that replace the transports of an HTTP client whose class cannot be changed.

Every other client has its class replaced (``client_classes``).
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from tachikoma_metrics.backends.attempts import Attempt
from tachikoma_metrics.backends.backend import Backend
from tachikoma_metrics.backends.bodies import follow_httpx, follow_requests
from tachikoma_metrics.backends.object_proxies import Method, ObjectProxy
from tachikoma_metrics.registry import METRICS

_current_call: ContextVar[TransportCall | None] = ContextVar("current_call", default=None)


class TransportCall:
    """A call of a transport's or an adapter's method, and the attempt that it measures.

    Other instrumentation may wrap the method, so that one request passes through two calls: the
    inner call then takes the attempt over. A second inner call, such as a retry of the wrapper,
    is another attempt.
    """

    __slots__ = ("_attempt", "_backend", "_outer", "_request")

    def __init__(self, backend: Backend, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._request = args[0] if args else kwargs.get("request")
        self._backend = backend
        self._outer = _current_call.get()
        self._attempt: Attempt | None = None

    def start(self) -> None:
        """Start an attempt, or take over the attempt of the outer call."""
        if self._outer is not None:
            self._outer.hand_over(self)
        if self._attempt is None:
            self._attempt = self._backend.attempt(self._request)
            self._attempt.start()
        _current_call.set(self)

    def hand_over(self, inner: TransportCall) -> None:
        """Give the attempt to ``inner`` if that sends the same request; ``inner`` then ends it."""
        try:
            if inner._backend is self._backend and _is_same(inner._request, self._request):
                # An exception raised by a signal handler cannot split this statement.
                inner._attempt, self._attempt = self._attempt, None
        except Exception as error:
            METRICS.count_error("backend", error)

    def fail(self, error: BaseException) -> None:
        """Record the attempt with the exception that was raised."""
        self._leave()
        if self._attempt is not None:
            self._attempt.end(error)

    def discard(self) -> None:
        """Drop the attempt without a record, unless it has ended."""
        self._leave()
        if self._attempt is not None:
            self._attempt.discard()

    def answer(self, response: Any, follow: Callable[[Any, Attempt], None]) -> Any:
        """Return the response, whose body ends the attempt."""
        self._leave()
        if self._attempt is not None:
            follow(response, self._attempt)
        return response

    def _leave(self) -> None:
        # A coroutine may be closed in another context than it ran in.
        if _current_call.get() is self:
            _current_call.set(self._outer)


def _is_same(request: Any, other: Any) -> bool:
    """Return whether the two are one request, or one was copied from the other."""
    if request is other:
        return True
    return bool(request.method == other.method and request.url == other.url)


def _handle(transport: ObjectProxy, handle: Any, /, *args: Any, **kwargs: Any) -> Any:
    call = TransportCall(transport._by, args, kwargs)
    try:
        try:
            call.start()
            return call.answer(handle(*args, **kwargs), follow_httpx)
        except BaseException as error:
            call.fail(error)
            raise
    except BaseException:
        # A signal handler may raise while the handler above runs.
        call.discard()
        raise


async def _handle_async(transport: ObjectProxy, handle: Any, /, *args: Any, **kwargs: Any) -> Any:
    call = TransportCall(transport._by, args, kwargs)
    try:
        try:
            call.start()
            return call.answer(await handle(*args, **kwargs), follow_httpx)
        except BaseException as error:
            call.fail(error)
            raise
    except BaseException:
        call.discard()
        raise


def _send(adapter: ObjectProxy, send: Any, /, *args: Any, **kwargs: Any) -> Any:
    call = TransportCall(adapter._by, args, kwargs)
    try:
        try:
            call.start()
            return call.answer(send(*args, **kwargs), follow_requests)
        except BaseException as error:
            call.fail(error)
            raise
    except BaseException:
        call.discard()
        raise


class MeasuredTransport(ObjectProxy):
    """A proxy of a transport of httpx or httpx2, sync or async."""

    __slots__ = ()

    handle_request = Method(_handle)
    handle_async_request = Method(_handle_async)


class MeasuredAdapter(ObjectProxy):
    """A proxy of an adapter of a ``requests.Session``."""

    __slots__ = ()

    send = Method(_send)


def is_measured(transport: object) -> bool:
    """Return whether a transport or an adapter is such a proxy."""
    return type(transport) in (MeasuredTransport, MeasuredAdapter)
