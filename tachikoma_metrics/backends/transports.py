"""Stand-ins for what sends a client's requests, and for the bodies of the answers.

From outside, a stand-in is the object that it stands for: same class for ``isinstance``,
same attributes, same copies and pickles. Whatever is set on it or deleted from it is set on
the original or deleted from it. httpx, httpx2 and requests are told by what their objects can
do; none is imported.

Other instruments replace a sender's methods by wrappers of what was there before. A method is
therefore looked up on the original whenever it is asked for, and a stand-in's own never call
each other by name: a wrapper that is put there later, or taken away, leads to no circle.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import ContextVar
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

from tachikoma_metrics.backends.attempts import Attempt
from tachikoma_metrics.backends.base_paths import sending_base_path
from tachikoma_metrics.backends.endpoints import Endpoints
from tachikoma_metrics.catalogue.labels import OTHER
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.recording import abandoned
from tachikoma_metrics.recording.subclasses import (
    alike,
    derived,
    give,
    is_derived,
    reduce_as_original,
)
from tachikoma_metrics.registry import METRICS

_MOST_CLASSES = 64


class StandIn:
    """Be as ``original`` is, except for what a subclass does; ``by`` is what measures it."""

    __slots__ = ("__weakref__", "_by", "_original")

    def __init__(self, original: Any, by: Any) -> None:
        # Not by its __setattr__, which is for the original.
        _set_original(self, original)
        _set_by(self, by)

    @property  # type: ignore[misc]  # What isinstance() asks for second.
    def __class__(self) -> Any:
        return self._original.__class__

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_original"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._original, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._original, name)

    def __repr__(self) -> str:
        return repr(self._original)

    def __eq__(self, other: object) -> bool:
        same: Any = other._original if isinstance(other, type(self)) else other
        return bool(self._original == same)

    def __hash__(self) -> int:
        return hash(self._original)

    def __reduce_ex__(self, protocol: Any) -> Any:
        # A copy is one of the original, and is not measured.
        return self._original.__reduce_ex__(protocol)

    def __enter__(self) -> Any:
        entered = self._original.__enter__()
        return self if entered is self._original else entered

    def __exit__(self, *raised: Any) -> Any:
        return self._original.__exit__(*raised)

    async def __aenter__(self) -> Any:
        entered = await self._original.__aenter__()
        return self if entered is self._original else entered

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._original.__aexit__(*raised)


# What a slot is set by, without a look at __setattr__.
_set_original: Any = vars(StandIn)["_original"].__set__
_set_by: Any = vars(StandIn)["_by"].__set__


class MeasuredCall(StandIn):
    """Stand for a method that was found on an original, and measure its calls.

    ``by`` is the stand-in, which is kept as long as its methods are. ``around`` calls the
    method, given the stand-in, the method and the arguments.
    """

    __slots__ = ("_around",)

    def __init__(self, method: Any, by: StandIn, around: Callable[..., Any]) -> None:
        _set_original(self, method)
        _set_by(self, by)
        _set_around(self, around)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the method returns."""
        return self._around(self._by, self._original, *args, **kwargs)


_set_around: Any = vars(MeasuredCall)["_around"].__set__


class Method:
    """A method of a stand-in: the original's, as it is at the time; it may have none."""

    def __init__(self, around: Callable[..., Any]) -> None:
        self._around = around

    def __set_name__(self, owner: type[StandIn], name: str) -> None:
        self._name = name

    def __get__(self, stand_in: Any, owner: Any = None) -> Any:
        if stand_in is None:
            return self._of_class
        return MeasuredCall(getattr(stand_in._original, self._name), stand_in, self._around)

    @property
    def _of_class(self) -> Callable[..., Any]:
        """Return the method as a function that is given the stand-in."""
        return lambda stand_in, *args, **kwargs: self.__get__(stand_in)(*args, **kwargs)


class InnerMethod(Method):
    """A method that only httpx calls: quick, and no more than callable."""

    def __get__(self, stand_in: Any, owner: Any = None) -> Any:
        if stand_in is None:
            return super().__get__(stand_in, owner)
        return partial(self._around, stand_in, getattr(stand_in._original, self._name))


class Backend:
    """What is to be known of a backend by whatever sends requests to it."""

    def __init__(self, name: str, endpoints: Endpoints) -> None:
        self.name = name
        self.endpoints = endpoints

    def attempt(self, request: Any) -> Attempt:
        """Return the attempt at a request of httpx, httpx2 or requests; never raises."""
        try:
            endpoint = self.endpoints.name(_path(request), sending_base_path())
        except Exception as error:
            METRICS.count_error("backend", error)
            endpoint = OTHER
        return Attempt(self.name, endpoint)


_sending: ContextVar[Sending | None] = ContextVar("sending", default=None)


class Sending:
    """A call of a sender's method, with the attempt that it is.

    A wrapper that stands on the sender leads to another call of it, for the same request:
    that one takes the attempt over. If the wrapper asks again, it is another attempt.
    """

    __slots__ = ("_around", "_attempt", "_backend", "_request")

    def __init__(self, backend: Backend, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self._request = args[0] if args else kwargs.get("request")
        self._backend = backend
        self._around = _sending.get()
        self._attempt: Attempt | None = None

    def start(self) -> None:
        """Be under way from now on, as the attempt of the call around or as another one."""
        if self._around is not None:
            self._around.hand_on(self)
        if self._attempt is None:
            self._attempt = self._backend.attempt(self._request)
            self._attempt.start()
        _sending.set(self)

    def hand_on(self, inner: Sending) -> None:
        """Give the attempt to ``inner`` if that sends the same, and is the one to end it."""
        try:
            if inner._backend is self._backend and _is_same(inner._request, self._request):
                # In one step: no exception from outside appears in it.
                inner._attempt, self._attempt = self._attempt, None
        except Exception as error:
            METRICS.count_error("backend", error)

    def fail(self, error: BaseException) -> None:
        """End with an exception."""
        self._leave()
        if self._attempt is not None:
            self._attempt.end(error)

    def discard(self) -> None:
        """Be over without a record, unless it is over."""
        self._leave()
        if self._attempt is not None:
            self._attempt.discard()

    def answer(self, response: Any, follow: Callable[[Any, Attempt], None]) -> Any:
        """Return the response, whose body is followed to its end."""
        self._leave()
        if self._attempt is not None:
            follow(response, self._attempt)
        return response

    def _leave(self) -> None:
        # A coroutine may be closed in another context than it ran in.
        if _sending.get() is self:
            _sending.set(self._around)


def _is_same(request: Any, other: Any) -> bool:
    """Tell whether two requests are one, or one was made of the other."""
    if request is other:
        return True
    return bool(request.method == other.method and request.url == other.url)


def _handle(sender: StandIn, handle: Any, /, *args: Any, **kwargs: Any) -> Any:
    sending = Sending(sender._by, args, kwargs)
    try:
        try:
            sending.start()
            return sending.answer(handle(*args, **kwargs), _follow)
        except BaseException as error:
            sending.fail(error)
            raise
    except BaseException:
        # An exception from outside may come where another is handled.
        sending.discard()
        raise


async def _handle_async(sender: StandIn, handle: Any, /, *args: Any, **kwargs: Any) -> Any:
    sending = Sending(sender._by, args, kwargs)
    try:
        try:
            sending.start()
            return sending.answer(await handle(*args, **kwargs), _follow)
        except BaseException as error:
            sending.fail(error)
            raise
    except BaseException:
        sending.discard()
        raise


def _send(sender: StandIn, send: Any, /, *args: Any, **kwargs: Any) -> Any:
    sending = Sending(sender._by, args, kwargs)
    try:
        try:
            sending.start()
            return sending.answer(send(*args, **kwargs), _follow_raw)
        except BaseException as error:
            sending.fail(error)
            raise
    except BaseException:
        sending.discard()
        raise


class MeasuredTransport(StandIn):
    """Send requests as a transport of httpx or httpx2 does, sync or async."""

    __slots__ = ()

    handle_request = Method(_handle)
    handle_async_request = Method(_handle_async)


class MeasuredAdapter(StandIn):
    """Send requests as an adapter of a ``requests.Session`` does."""

    __slots__ = ()

    send = Method(_send)


def _close(body: StandIn, close: Any, /, *args: Any, **kwargs: Any) -> Any:
    try:
        return close(*args, **kwargs)
    finally:
        body._by.close()


async def _close_async(body: StandIn, close: Any, /, *args: Any, **kwargs: Any) -> Any:
    try:
        return await close(*args, **kwargs)
    finally:
        body._by.close()


def _read(body: StandIn, read: Any, /, *args: Any, **kwargs: Any) -> Any:
    try:
        data = read(*args, **kwargs)
    except BaseException as error:
        body._by.end(error)
        raise
    try:
        if _is_last(body._original, data, args[0] if args else kwargs.get("amt")):
            body._by.end()
    except Exception as fault:
        METRICS.count_error("backend", fault)
    return data


def _stream(body: StandIn, stream: Any, /, *args: Any, **kwargs: Any) -> Any:
    return MeasuredChunks(iter(stream(*args, **kwargs)), body._by)


class MeasuredBody(StandIn):
    """Be a body, and have its attempt ended with it; one that is dropped, a little later."""

    __slots__ = ()

    def __init__(self, original: Any, by: Attempt) -> None:
        super().__init__(original, by)
        abandoned.watch(self, by)


class MeasuredByteStream(MeasuredBody):
    """A body of httpx' or httpx2's, sync or async."""

    __slots__ = ()

    close = InnerMethod(_close)
    aclose = InnerMethod(_close_async)

    def __iter__(self) -> Iterator[bytes]:
        return MeasuredChunks(iter(self._original), self._by)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return MeasuredChunks(aiter(self._original), self._by)


class MeasuredRaw(MeasuredBody):
    """A body of requests': an HTTP response of urllib3's, or whatever an adapter has."""

    __slots__ = ()

    close = Method(_close)
    read = Method(_read)
    # Only if it has them: requests asks.
    stream = Method(_stream)
    release_conn = Method(_close)

    def __iter__(self) -> Iterator[bytes]:
        return MeasuredChunks(iter(self._original), self._by)

    def __next__(self) -> Any:
        return next(self._original)


class MeasuredChunks(StandIn):
    """Hand on the chunks of a body, and end its attempt after the last one."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> Any:
        try:
            return next(self._original)
        except StopIteration:
            self._by.end()
            raise
        except BaseException as error:
            self._by.end(error)
            raise

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._original)
        except StopAsyncIteration:
            self._by.end()
            raise
        except BaseException as error:
            self._by.end(error)
            raise


def is_measured(sender: object) -> bool:
    """Tell whether ``sender`` is a stand-in already."""
    return type(sender) in (MeasuredTransport, MeasuredAdapter)


def _is_last(raw: Any, data: Any, amount: Any) -> bool:
    """Tell whether no more bytes come after ``data``, for which ``amount`` was asked."""
    if amount is None or (isinstance(amount, int) and amount < 0):
        return True
    # Older ones of urllib3 return nothing for bytes that only the decoder needed.
    is_open = hasattr(raw, "release_conn") and raw.closed is False
    return not data and amount != 0 and not is_open


# --- clients ----------------------------------------------------------------

_backends: WeakKeyDictionary[Any, Backend] = WeakKeyDictionary()
"""The backend of each client that is measured."""

_looking: ContextVar[Any] = ContextVar("looking", default=None)
"""The session that is about to look for the adapter of a request."""


def measure_client(client: Any, backend: Backend) -> bool:
    """Have all senders of a client measured, those that it gets later included.

    Tells whether that is possible: a client of httpx or httpx2 looks for the transport of
    each request, a session of requests for the adapter, and each is given a stand-in. The
    senders themselves stay as they are.
    """
    if is_derived(type(client)):
        return True
    try:
        derive = next(derive for name, derive in _KINDS.items() if hasattr(type(client), name))
        _backends[client] = backend
        original: Any = type(client)
        give(client, derive(original))
    except Exception as error:
        pass_on(error)
        # Of another kind, or of one that lets nobody change its class.
        return False
    return True


@lru_cache(_MOST_CLASSES)
def _measured_client(original: Any) -> Any:
    """Return a client's class whose transports are measured."""

    def _transport_for_url(client: Any, url: Any) -> Any:
        transport = super(measured, client)._transport_for_url(url)
        backend = _backends.get(client)
        return transport if backend is None else Sender(transport, backend)

    members = {"_transport_for_url": _transport_for_url, "__reduce_ex__": reduce_as_original}
    measured: Any = derived(original, members, _measured_client)
    return measured


@lru_cache(_MOST_CLASSES)
def _measured_session(original: Any) -> Any:
    """Return a session's class whose adapters are measured when it sends by them."""

    def send(session: Any, *args: Any, **kwargs: Any) -> Any:
        before = _looking.get()
        try:
            _looking.set(session)
            return super(measured, session).send(*args, **kwargs)
        finally:
            _looking.set(before)

    def get_adapter(session: Any, *args: Any, **kwargs: Any) -> Any:
        adapter = super(measured, session).get_adapter(*args, **kwargs)
        # Whoever else asks is given the adapter itself.
        is_to_send = _looking.get() is session
        backend = _backends.get(session) if is_to_send else None
        return adapter if backend is None else Sender(adapter, backend)

    members = {
        "send": alike(send, original.send),
        "get_adapter": alike(get_adapter, original.get_adapter),
        "__reduce_ex__": reduce_as_original,
    }
    measured: Any = derived(original, members, _measured_session)
    return measured


_KINDS = {"_transport_for_url": _measured_client, "get_adapter": _measured_session}
"""What a client finds its senders by, and how that is measured."""


class Sender:
    """Send one request by what a client has found for it; the client alone sees this."""

    __slots__ = ("_backend", "_sender")

    def __init__(self, sender: Any, backend: Backend) -> None:
        self._sender = sender
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sender, name)

    def handle_request(self, request: Any) -> Any:
        """Send a request as a transport of httpx or httpx2 does."""
        attempt = self._backend.attempt(request)
        try:
            try:
                attempt.start()
                response = self._sender.handle_request(request)
                _follow(response, attempt)
                return response
            except BaseException as error:
                attempt.end(error)
                raise
        except BaseException:
            # An exception from outside may come where another is handled.
            attempt.discard()
            raise

    async def handle_async_request(self, request: Any) -> Any:
        """Send a request as such a transport does, async."""
        attempt = self._backend.attempt(request)
        try:
            try:
                attempt.start()
                response = await self._sender.handle_async_request(request)
                _follow(response, attempt)
                return response
            except BaseException as error:
                attempt.end(error)
                raise
        except BaseException:
            attempt.discard()
            raise

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request as an adapter of requests does."""
        _looking.set(None)
        attempt = self._backend.attempt(request)
        try:
            try:
                attempt.start()
                response = self._sender.send(request, *args, **kwargs)
                _follow_raw(response, attempt)
                return response
            except BaseException as error:
                attempt.end(error)
                raise
        except BaseException:
            attempt.discard()
            raise


def _path(request: Any) -> str:
    url: Any = request.url
    # httpx has it as it is sent: what is escaped in an id is no slash.
    path = url.raw_path.decode("ascii") if hasattr(url, "raw_path") else urlsplit(url).path
    return str(path)


def _follow(response: Any, attempt: Attempt) -> None:
    try:
        attempt.answer(response.status_code)
        if response.is_closed:
            attempt.end()
        else:
            response.stream = MeasuredByteStream(response.stream, attempt)
    except Exception as error:
        METRICS.count_error("backend", error)
        attempt.end()


def _follow_raw(response: Any, attempt: Attempt) -> None:
    try:
        attempt.answer(response.status_code)
        if response.raw is None:
            attempt.end()
        else:
            response.raw = MeasuredRaw(response.raw, attempt)
    except Exception as error:
        METRICS.count_error("backend", error)
        attempt.end()
