"""Stand-ins for what sends a client's requests, and for the bodies of the answers.

To whoever looks, a stand-in is the object that it stands for: same class for
``isinstance``, same attributes, same copies and pickles. httpx, httpx2 and requests are told
by what their objects can do; none is imported.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlsplit

from tachikoma_metrics import orphans
from tachikoma_metrics.attempts import Attempt
from tachikoma_metrics.endpoints import Endpoints
from tachikoma_metrics.labels import OTHER
from tachikoma_metrics.registry import METRICS


class StandIn:
    """Be as ``original`` is, except for what a subclass does; ``by`` is what measures it."""

    __slots__ = ("__weakref__", "_by", "_original")

    def __init__(self, original: Any, by: Any) -> None:
        # Not by our own __setattr__, which is for the original.
        object.__setattr__(self, "_original", original)
        object.__setattr__(self, "_by", by)

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


class Backend:
    """What is to be known of a backend by whatever sends requests to it."""

    def __init__(self, name: str, endpoints: Endpoints) -> None:
        self.name = name
        self.endpoints = endpoints

    def attempt(self, request: Any) -> Attempt:
        """Return the attempt at a request of httpx, httpx2 or requests; never raises."""
        try:
            endpoint = self.endpoints.name(_path(request))
        except Exception as error:
            METRICS.fault("backend", error)
            endpoint = OTHER
        return Attempt(self.name, endpoint)


class MeasuredTransport(StandIn):
    """Send requests as a transport of httpx or httpx2 does, sync or async."""

    __slots__ = ()

    def handle_request(self, request: Any) -> Any:
        """Return the answer to a request, whose body is measured to its end."""
        attempt = self._by.attempt(request)
        try:
            try:
                attempt.start()
                response = self._original.handle_request(request)
                _follow(response, attempt)
                return response
            except BaseException as error:
                attempt.end(error)
                raise
        except BaseException:
            attempt.discard()
            raise

    async def handle_async_request(self, request: Any) -> Any:
        """Return the answer to a request, whose body is measured to its end."""
        attempt = self._by.attempt(request)
        try:
            try:
                attempt.start()
                response = await self._original.handle_async_request(request)
                _follow(response, attempt)
                return response
            except BaseException as error:
                attempt.end(error)
                raise
        except BaseException:
            attempt.discard()
            raise


class MeasuredAdapter(StandIn):
    """Send requests as an adapter of a ``requests.Session`` does."""

    __slots__ = ()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the answer to a request, whose body is measured to its end."""
        attempt = self._by.attempt(request)
        try:
            try:
                attempt.start()
                response = self._original.send(request, *args, **kwargs)
                _follow_raw(response, attempt)
                return response
            except BaseException as error:
                attempt.end(error)
                raise
        except BaseException:
            attempt.discard()
            raise


class MeasuredBody(StandIn):
    """Be a body, and have its attempt ended with it; one that is dropped, a little later."""

    __slots__ = ()

    def __init__(self, original: Any, by: Attempt) -> None:
        super().__init__(original, by)
        orphans.watch(self, by)

    def close(self) -> Any:
        """Close the body."""
        try:
            return self._original.close()
        finally:
            self._by.close()


class MeasuredByteStream(MeasuredBody):
    """A body of httpx' or httpx2's, sync or async."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        return MeasuredChunks(iter(self._original), self._by)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return MeasuredChunks(aiter(self._original), self._by)

    async def aclose(self) -> None:
        """Close the body."""
        try:
            await self._original.aclose()
        finally:
            self._by.close()


class MeasuredRaw(MeasuredBody):
    """A body of requests': an HTTP response of urllib3's, or whatever an adapter has."""

    __slots__ = ()

    def __iter__(self) -> Iterator[bytes]:
        return MeasuredChunks(iter(self._original), self._by)

    def __getattr__(self, name: str) -> Any:
        found = super().__getattr__(name)
        # Only if it has one: requests asks.
        if name == "stream":
            return self._streaming(found)
        return self._releasing(found) if name == "release_conn" else found

    def __next__(self) -> Any:
        return next(self._original)

    def read(self, *args: Any, **kwargs: Any) -> Any:
        """Read some bytes, or all."""
        try:
            data = self._original.read(*args, **kwargs)
        except BaseException as error:
            self._by.end(error)
            raise
        is_for_all = not args and kwargs.get("amt") is None
        if is_for_all or not data:
            self._by.end()
        return data

    def _releasing(self, release: Any) -> Any:
        def release_conn(*args: Any, **kwargs: Any) -> Any:
            try:
                return release(*args, **kwargs)
            finally:
                self._by.close()

        return release_conn

    def _streaming(self, stream: Any) -> Any:
        return lambda *args, **kwargs: MeasuredChunks(iter(stream(*args, **kwargs)), self._by)


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
        METRICS.fault("backend", error)
        attempt.end()


def _follow_raw(response: Any, attempt: Attempt) -> None:
    try:
        attempt.answer(response.status_code)
        if response.raw is None:
            attempt.end()
        else:
            response.raw = MeasuredRaw(response.raw, attempt)
    except Exception as error:
        METRICS.fault("backend", error)
        attempt.end()
