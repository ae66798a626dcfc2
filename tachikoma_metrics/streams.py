"""Streamed bodies that tell how many bytes passed and how they ended.

Django registers the ``close`` of what it is given as ``streaming_content`` and calls
it when the server is done with the response, exhausted or not, as PEP 3333 asks of a server:
https://peps.python.org/pep-3333/#specification-details
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Protocol

from tachikoma_metrics import orphans


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
        orphans.watch(self, follower)

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
        orphans.forget(self._follower)


class MeasuredAsyncStream:
    """Hand on the chunks of an async iterator, as bytes."""

    def __init__(self, chunks: AsyncIterator[object], charset: str, follower: Follower) -> None:
        self._chunks = chunks
        self._charset = charset
        self._follower = follower
        # Not every server closes a response that it failed to send.
        orphans.watch(self, follower)

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
        orphans.forget(self._follower)


class ServerSentBody:
    """Stand beside a file that the server reads and sends by itself."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        orphans.watch(self, follower)

    def close(self) -> None:
        """Tell that the server is done with it."""
        self._follower.close()
        orphans.forget(self._follower)
