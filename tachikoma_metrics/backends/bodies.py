"""Response bodies of HTTP clients: an attempt ends with the last byte of its response."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from tachikoma_metrics.backends.attempts import Attempt
from tachikoma_metrics.backends.object_proxies import InnerMethod, Method, ObjectProxy
from tachikoma_metrics.recording import abandoned
from tachikoma_metrics.registry import METRICS


def follow_httpx(response: Any, attempt: Attempt) -> None:
    """End the attempt with the body of a response of httpx or httpx2; never raises."""
    try:
        attempt.answer(response.status_code)
        if response.is_closed:
            attempt.end()
        else:
            response.stream = MeasuredByteStream(response.stream, attempt)
    except Exception as error:
        METRICS.count_error("backend", error)
        attempt.end()


def follow_requests(response: Any, attempt: Attempt) -> None:
    """End the attempt with the body of a response of requests; never raises."""
    try:
        attempt.answer(response.status_code)
        if response.raw is None:
            attempt.end()
        else:
            response.raw = MeasuredRaw(response.raw, attempt)
    except Exception as error:
        METRICS.count_error("backend", error)
        attempt.end()


def _close(body: ObjectProxy, close: Any, /, *args: Any, **kwargs: Any) -> Any:
    try:
        return close(*args, **kwargs)
    finally:
        body._by.close()


async def _close_async(body: ObjectProxy, close: Any, /, *args: Any, **kwargs: Any) -> Any:
    try:
        return await close(*args, **kwargs)
    finally:
        body._by.close()


def _read(body: ObjectProxy, read: Any, /, *args: Any, **kwargs: Any) -> Any:
    try:
        data = read(*args, **kwargs)
    except BaseException as error:
        body._by.end(error)
        raise
    try:
        if _is_last(body._original, data, args[0] if args else kwargs.get("amt")):
            body._by.end()
    except Exception as error:
        METRICS.count_error("backend", error)
    return data


def _is_last(raw: Any, data: Any, amount: Any) -> bool:
    """Return whether ``data``, read with ``amount``, ends the body."""
    if amount is None or (isinstance(amount, int) and amount < 0):
        return True
    # Older releases of urllib3 return no data for bytes that only the decoder needed.
    is_open = hasattr(raw, "release_conn") and raw.closed is False
    return not data and amount != 0 and not is_open


def _stream(body: ObjectProxy, stream: Any, /, *args: Any, **kwargs: Any) -> Any:
    return MeasuredChunks(iter(stream(*args, **kwargs)), body._by)


class MeasuredBody(ObjectProxy):
    """A body whose attempt ends with it, or soon after the body is garbage-collected."""

    __slots__ = ()

    def __init__(self, original: Any, by: Attempt) -> None:
        super().__init__(original, by)
        abandoned.watch(self, by)


class MeasuredByteStream(MeasuredBody):
    """A body of httpx or httpx2, sync or async."""

    __slots__ = ()

    close = InnerMethod(_close)
    aclose = InnerMethod(_close_async)

    def __iter__(self) -> Iterator[bytes]:
        return MeasuredChunks(iter(self._original), self._by)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return MeasuredChunks(aiter(self._original), self._by)


class MeasuredRaw(MeasuredBody):
    """A body of requests: an HTTP response of urllib3, or another object that an adapter set."""

    __slots__ = ()

    close = Method(_close)
    read = Method(_read)
    # requests checks whether the body has this method.
    stream = Method(_stream)
    release_conn = Method(_close)

    def __iter__(self) -> Iterator[bytes]:
        return MeasuredChunks(iter(self._original), self._by)

    def __next__(self) -> Any:
        return next(self._original)


class MeasuredChunks(ObjectProxy):
    """An iterator over the chunks of a body, which ends the attempt after the last chunk."""

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
