"""Streamed bodies that tell how many bytes passed and how they ended.

Django registers the ``close`` of what it is given as ``streaming_content`` and calls
it when the server is done with the response, exhausted or not, as PEP 3333 asks of a server:
https://peps.python.org/pep-3333/#specification-details
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Protocol

from tachikoma_metrics.recording import abandoned


class Follower(Protocol):
    """Whoever wants to know what becomes of a body."""

    def pass_chunk(self, size: int) -> None:
        """Be told of a chunk of ``size`` bytes that is on its way."""

    def complete(self) -> None:
        """Be told that the last chunk has gone."""

    def close(self) -> None:
        """Be told that nobody asks for more, at the end or before it."""

    def break_off(self, error: BaseException) -> None:
        """Be told that making the next chunk failed."""

    def drop(self) -> None:
        """Be told that the body is gone, while anything may be under way."""


def as_bytes(chunk: object, charset: str) -> bytes:
    """Return a chunk as ``HttpResponseBase.make_bytes`` would, which then leaves it alone."""
    if isinstance(chunk, (bytes, memoryview)):
        return bytes(chunk)
    return str(chunk).encode(charset)


class MeasuredStream:
    """Hand on the chunks of an iterator, as bytes."""

    def __init__(self, chunks: Iterator[object], charset: str, follower: Follower) -> None:
        self._chunks = chunks
        self._charset = charset
        self._follower = follower
        # Not every server closes a response that it failed to send.
        abandoned.watch(self, follower)

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            chunk = as_bytes(next(self._chunks), self._charset)
        except StopIteration:
            self._follower.complete()
            raise
        except BaseException as error:
            self._follower.break_off(error)
            raise
        self._follower.pass_chunk(len(chunk))
        return chunk

    def close(self) -> None:
        """Tell that nobody asks for more."""
        self._follower.close()
        abandoned.forget(self._follower)


class MeasuredAsyncStream:
    """Hand on the chunks of an async iterator, as bytes."""

    def __init__(self, chunks: AsyncIterator[object], charset: str, follower: Follower) -> None:
        self._chunks = chunks
        self._charset = charset
        self._follower = follower
        # Not every server closes a response that it failed to send.
        abandoned.watch(self, follower)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = as_bytes(await anext(self._chunks), self._charset)
        except StopAsyncIteration:
            self._follower.complete()
            raise
        except BaseException as error:
            self._follower.break_off(error)
            raise
        self._follower.pass_chunk(len(chunk))
        return chunk

    def close(self) -> None:
        """Tell that nobody asks for more."""
        self._follower.close()
        abandoned.forget(self._follower)


class ReadAheadBody:
    """Follow a body that Django reads to its end before the server gets the first chunk.

    Django does that with an iterator of the other kind: a sync one under ASGI, an async one
    under WSGI. What passes then is what the server takes of the chunks that were read.
    https://docs.djangoproject.com/en/stable/ref/request-response/#streaminghttpresponse-objects
    """

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._read = 0
        self._taken = 0
        self._is_read = False

    def pass_chunk(self, size: int) -> None:
        """Be told of a chunk of ``size`` bytes that was read."""
        self._read += size

    def take(self, size: int) -> None:
        """Be told that the server takes ``size`` bytes."""
        self._taken += size
        self._follower.pass_chunk(size)

    def complete(self) -> None:
        """Be told that all was read."""
        self._is_read = True

    def close(self) -> None:
        """Be told that the server is done, or the client gone."""
        if self._is_read and not self._taken:
            # A test client takes the chunks otherwise than a server does.
            self._follower.pass_chunk(self._read)
            self._taken = self._read
        if self._is_read and self._taken >= self._read:
            self._follower.complete()
        else:
            self._follower.close()

    def break_off(self, error: BaseException) -> None:
        """Be told that making the next chunk failed."""
        self._follower.break_off(error)

    def drop(self) -> None:
        """Be told that the body is gone, while anything may be under way."""
        self._follower.drop()


class _Chunk(bytes):
    """A chunk of a body that is read ahead."""

    body: ReadAheadBody

    @classmethod
    def of(cls, body: ReadAheadBody, chunk: bytes) -> bytes:
        made = cls(chunk)
        made.body = body
        return made if chunk else chunk


class _ChunkOfAsgi(_Chunk):
    """Tell what is taken of a chunk when an ASGI handler cuts it into messages."""

    def __bytes__(self) -> bytes:
        # Django asks for this when it reads ahead, and nobody has the chunk then.
        return self

    def __getitem__(self, key: Any) -> Any:
        part = super().__getitem__(key)
        if isinstance(part, bytes):
            self.body.take(len(part))
        return part


class _ChunkOfWsgi(_Chunk):
    """Tell when a WSGI server takes a chunk, for which Django makes it plain bytes."""

    def __bytes__(self) -> bytes:
        self.body.take(len(self))
        return self[:]


class ReadAheadStream(MeasuredStream):
    """Hand on the chunks of a sync iterator under ASGI."""

    def __init__(self, chunks: Iterator[object], charset: str, follower: Follower) -> None:
        self._body = ReadAheadBody(follower)
        super().__init__(chunks, charset, self._body)

    def __next__(self) -> bytes:
        return _ChunkOfAsgi.of(self._body, super().__next__())


class ReadAheadAsyncStream(MeasuredAsyncStream):
    """Hand on the chunks of an async iterator under WSGI."""

    def __init__(self, chunks: AsyncIterator[object], charset: str, follower: Follower) -> None:
        self._body = ReadAheadBody(follower)
        super().__init__(chunks, charset, self._body)

    async def __anext__(self) -> bytes:
        return _ChunkOfWsgi.of(self._body, await super().__anext__())


class ServerSentBody:
    """Stand beside a file that the server reads and sends by itself."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        abandoned.watch(self, follower)

    def close(self) -> None:
        """Tell that the server is done with it."""
        self._follower.close()
        abandoned.forget(self._follower)
