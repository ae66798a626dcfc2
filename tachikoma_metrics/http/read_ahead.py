"""Streamed bodies, also those that Django reads to their end before it sends the first chunk.

Django reads ahead where the iterator is of the other kind than the server: a sync iterator
under ASGI, an async iterator under WSGI. There each chunk reports when the server takes it.
https://docs.djangoproject.com/en/stable/ref/request-response/#streaminghttpresponse-objects
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest

from tachikoma_metrics.http.streams import BodyObserver, MeasuredAsyncStream, MeasuredStream


class ReadAheadBody:
    """Observe a body that Django reads ahead; what counts as sent is what the server takes."""

    def __init__(self, observer: BodyObserver) -> None:
        self._observer = observer
        self._read = 0
        self._taken = 0
        self._is_read = False

    def add_chunk(self, size: int) -> None:
        """Note that Django read a chunk of ``size`` bytes."""
        self._read += size

    def take(self, size: int) -> None:
        """Note that the server takes ``size`` bytes."""
        self._taken += size
        self._observer.add_chunk(size)

    def complete(self) -> None:
        """Note that Django read the last chunk."""
        self._is_read = True

    def close(self) -> None:
        """Note that the server is done, or the client disconnected."""
        if self._is_read and not self._taken:
            # A test client takes the chunks otherwise than a server does.
            self._observer.add_chunk(self._read)
            self._taken = self._read
        if self._is_read and self._taken >= self._read:
            self._observer.complete()
        else:
            self._observer.close()

    def fail(self, error: BaseException) -> None:
        """Note that making the next chunk raised ``error``."""
        self._observer.fail(error)

    def drop(self) -> None:
        """Note that the body was garbage-collected; any thread may call this, at any point."""
        self._observer.drop()


class _Chunk(bytes):
    """A chunk of a body that is read ahead."""

    body: ReadAheadBody

    @classmethod
    def of(cls, body: ReadAheadBody, chunk: bytes) -> bytes:
        made = cls(chunk)
        made.body = body
        return made if chunk else chunk


class _AsgiChunk(_Chunk):
    """Report what is taken of a chunk when Django's ASGI handler cuts it into messages."""

    def __bytes__(self) -> bytes:
        # Django calls this when it reads ahead, before the server has the chunk.
        return self

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, bytes):
            self.body.take(len(part))
        return part


class _WsgiChunk(_Chunk):
    """Report when a WSGI server takes a chunk, for which Django makes it plain bytes."""

    def __bytes__(self) -> bytes:
        self.body.take(len(self))
        return self[:]


class ReadAheadStream(MeasuredStream):
    """Pass on the chunks of a sync iterator under ASGI."""

    def __init__(self, chunks: Iterator[object], charset: str, observer: BodyObserver) -> None:
        self._body = ReadAheadBody(observer)
        super().__init__(chunks, charset, self._body)

    def __next__(self) -> bytes:
        return _AsgiChunk.of(self._body, super().__next__())


class ReadAheadAsyncStream(MeasuredAsyncStream):
    """Pass on the chunks of an async iterator under WSGI."""

    def __init__(self, chunks: AsyncIterator[object], charset: str, observer: BodyObserver) -> None:
        self._body = ReadAheadBody(observer)
        super().__init__(chunks, charset, self._body)

    async def __anext__(self) -> bytes:
        return _WsgiChunk.of(self._body, await super().__anext__())


def stream_class(
    request: HttpRequest | None, *, is_async: bool
) -> Callable[[Any, str, BodyObserver], Any]:
    """Return the class that measures a body, by its kind and the kind of the server."""
    if is_async:
        return ReadAheadAsyncStream if isinstance(request, WSGIRequest) else MeasuredAsyncStream
    return ReadAheadStream if isinstance(request, ASGIRequest) else MeasuredStream
