"""Streamed bodies that report how many bytes passed and how they ended.

Django registers the ``close`` of what it is given as ``streaming_content`` and calls
it when the server is done with the response, exhausted or not, as PEP 3333 requires of a server:
https://peps.python.org/pep-3333/#specification-details
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from django.http import FileResponse, HttpRequest, StreamingHttpResponse

from tachikoma_metrics.recording import abandoned


class BodyObserver(Protocol):
    """What a body reports to."""

    def add_chunk(self, size: int) -> None:
        """Note that a chunk of ``size`` bytes is being sent."""

    def complete(self) -> None:
        """Note that the last chunk was sent."""

    def close(self) -> None:
        """Note that the server closed the body, at its end or before it."""

    def fail(self, error: BaseException) -> None:
        """Note that making the next chunk raised ``error``."""

    def drop(self) -> None:
        """Note that the body was garbage-collected; any thread may call this, at any point."""


def as_bytes(chunk: object, charset: str) -> bytes:
    """Return a chunk as ``HttpResponseBase.make_bytes`` would, which does not change it again."""
    if isinstance(chunk, (bytes, memoryview)):
        return bytes(chunk)
    return str(chunk).encode(charset)


class MeasuredStream:
    """Pass on the chunks of an iterator, as bytes."""

    def __init__(self, chunks: Iterator[object], charset: str, observer: BodyObserver) -> None:
        self._chunks = chunks
        self._charset = charset
        self._observer = observer
        # Not every server closes a response that it failed to send.
        abandoned.watch(self, observer)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = as_bytes(next(self._chunks), self._charset)
        except StopIteration:
            self._observer.complete()
            raise
        except BaseException as error:
            self._observer.fail(error)
            raise
        self._observer.add_chunk(len(chunk))
        return chunk

    def close(self) -> None:
        """Report that the server is done with the body."""
        self._observer.close()
        abandoned.forget(self._observer)


class MeasuredAsyncStream:
    """Pass on the chunks of an async iterator, as bytes."""

    def __init__(self, chunks: AsyncIterator[object], charset: str, observer: BodyObserver) -> None:
        self._chunks = chunks
        self._charset = charset
        self._observer = observer
        # Not every server closes a response that it failed to send.
        abandoned.watch(self, observer)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = as_bytes(await anext(self._chunks), self._charset)
        except StopAsyncIteration:
            self._observer.complete()
            raise
        except BaseException as error:
            self._observer.fail(error)
            raise
        self._observer.add_chunk(len(chunk))
        return chunk

    def close(self) -> None:
        """Report that the server is done with the body."""
        self._observer.close()
        abandoned.forget(self._observer)


class ServerSentBody:
    """Accompany a file that the server reads and sends without Django (``wsgi.file_wrapper``)."""

    def __init__(self, observer: BodyObserver) -> None:
        self._observer = observer
        abandoned.watch(self, observer)

    def close(self) -> None:
        """Report that the server is done with the file."""
        self._observer.close()
        abandoned.forget(self._observer)


def is_sent_by_server(request: HttpRequest | None, response: StreamingHttpResponse) -> bool:
    """Return whether the server sends the file of a response without Django reading it."""
    has_wrapper = request is not None and "wsgi.file_wrapper" in request.META
    return (
        has_wrapper and isinstance(response, FileResponse) and response.file_to_stream is not None
    )
