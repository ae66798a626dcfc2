"""Subclasses that replace the class of an HTTP client, so that all its requests are measured.

A client of httpx or httpx2 selects a transport for each request, a ``requests.Session`` an adapter.
The subclass returns a wrapper of the selected one for that request alone: the client's transports,
proxies and mounts stay as they are, and those that are added later are measured as well.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from tachikoma_metrics.backends.backend import Backend
from tachikoma_metrics.backends.bodies import follow_httpx, follow_requests
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.recording.subclasses import (
    alike,
    derived,
    give,
    is_derived,
    reduce_as_original,
)

_MAX_CLASSES = 64

_backends: WeakKeyDictionary[Any, Backend] = WeakKeyDictionary()
"""The backend of each measured client."""

_sending_session: ContextVar[Any] = ContextVar("sending_session", default=None)
"""The session that is about to select the adapter of a request."""


def measure_client(client: Any, backend: Backend) -> bool:
    """Replace the client's class by a measured subclass; return False where that is impossible."""
    if is_derived(type(client)):
        return True
    try:
        derive = next(derive for name, derive in _DERIVED.items() if hasattr(type(client), name))
        _backends[client] = backend
        original: Any = type(client)
        give(client, derive(original))
    except Exception as error:
        pass_on(error)
        # The client has another interface, or its class cannot be subclassed or replaced.
        return False
    return True


@lru_cache(_MAX_CLASSES)
def _measured_client(original: Any) -> Any:
    """Return a subclass of a client class of httpx or httpx2."""

    def _transport_for_url(client: Any, url: Any) -> Any:
        transport = super(measured, client)._transport_for_url(url)
        backend = _backends.get(client)
        return transport if backend is None else RequestTransport(transport, backend)

    members = {"_transport_for_url": _transport_for_url, "__reduce_ex__": reduce_as_original}
    measured: Any = derived(original, members, _measured_client)
    return measured


@lru_cache(_MAX_CLASSES)
def _measured_session(original: Any) -> Any:
    """Return a subclass of a session class of requests."""

    def send(session: Any, *args: Any, **kwargs: Any) -> Any:
        before = _sending_session.get()
        try:
            _sending_session.set(session)
            return super(measured, session).send(*args, **kwargs)
        finally:
            _sending_session.set(before)

    def get_adapter(session: Any, *args: Any, **kwargs: Any) -> Any:
        adapter = super(measured, session).get_adapter(*args, **kwargs)
        # A caller other than send() gets the adapter itself.
        is_sending = _sending_session.get() is session
        backend = _backends.get(session) if is_sending else None
        return adapter if backend is None else RequestTransport(adapter, backend)

    members = {
        "send": alike(send, original.send),
        "get_adapter": alike(get_adapter, original.get_adapter),
        "__reduce_ex__": reduce_as_original,
    }
    measured: Any = derived(original, members, _measured_session)
    return measured


_DERIVED = {"_transport_for_url": _measured_client, "get_adapter": _measured_session}
"""The method by which a class selects a transport or an adapter, and what makes the subclass."""


class RequestTransport:
    """A transport of httpx or httpx2, or an adapter of requests, wrapped for one request."""

    __slots__ = ("_backend", "_transport")

    def __init__(self, transport: Any, backend: Backend) -> None:
        self._transport = transport
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def handle_request(self, request: Any) -> Any:
        """Send a request by a sync transport of httpx or httpx2."""
        attempt = self._backend.attempt(request)
        try:
            try:
                attempt.start()
                response = self._transport.handle_request(request)
                follow_httpx(response, attempt)
                return response
            except BaseException as error:
                attempt.end(error)
                raise
        except BaseException:
            # A signal handler may raise while the handler above runs.
            attempt.discard()
            raise

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request by an async transport of httpx or httpx2."""
        attempt = self._backend.attempt(request)
        try:
            try:
                attempt.start()
                response = await self._transport.handle_async_request(request)
                follow_httpx(response, attempt)
                return response
            except BaseException as error:
                attempt.end(error)
                raise
        except BaseException:
            attempt.discard()
            raise

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request by an adapter of requests."""
        _sending_session.set(None)
        attempt = self._backend.attempt(request)
        try:
            try:
                attempt.start()
                response = self._transport.send(request, *args, **kwargs)
                follow_requests(response, attempt)
                return response
            except BaseException as error:
                attempt.end(error)
                raise
        except BaseException:
            attempt.discard()
            raise
