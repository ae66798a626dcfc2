"""Tracking what is in progress for a block: ``with``, ``async with``, or a function."""

from __future__ import annotations

import functools
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import aclosing
from types import TracebackType
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from asgiref.sync import iscoroutinefunction

from tachikoma_metrics.interruptions import is_interruption
from tachikoma_metrics.recording import abandoned
from tachikoma_metrics.registry import METRICS

Function = TypeVar("Function", bound=Callable[..., Any])


class Trackable(Protocol):
    """An object that is in progress for the duration of a block."""

    def start(self) -> None:
        """Count as in progress from now on."""

    def discard(self) -> None:
        """End without a record, unless it has ended."""

    def drop(self) -> None:
        """End soon, but not within this call, which may interrupt any other code."""


Begun = TypeVar("Begun", bound=Trackable)


class TrackedBlock(ABC, Generic[Begun]):
    """Begin at the start of a block, and end once at its end, with the exception it raised.

    A subclass defines what begins and how to ``end`` it, neither of which raises. One object
    tracks one block at a time, or nested blocks; a decorated function may be called
    concurrently.
    """

    source: ClassVar[str]
    """The source of instrumentation errors here."""

    families: ClassVar[frozenset[str]] = frozenset()
    """The names of the metrics that are exposed from when such an object is made."""

    def __init__(self) -> None:
        self._begun: list[Begun] = []
        try:
            METRICS.activate(self.families)
        except Exception as error:
            METRICS.count_error(self.source, error)

    @abstractmethod
    def begin(self) -> Begun:
        """Return what the block is passed, which is started next."""

    @abstractmethod
    def end(self, begun: Begun, error: BaseException | None) -> None:
        """Record the end of the block, which raised ``error`` unless that is None."""

    def __enter__(self) -> Begun:
        begun = self.begin()
        try:
            self._start(begun)
            return begun
        except BaseException as error:
            if is_interruption(error):
                self._forget(begun)
                raise
            METRICS.count_error(self.source, error)  # type: ignore[arg-type]  # No Exception: passed on.
            return begun

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            begun = self._begun[-1]
            try:
                self.end(begun, error)
            finally:
                self._forget(begun)
        except Exception as failure:
            METRICS.count_error(self.source, failure)

    def _start(self, begun: Begun) -> None:
        self._begun.append(begun)
        abandoned.watch(self, begun)
        begun.start()

    def _forget(self, begun: Begun) -> None:
        # After an interruption it may not be the last.
        if begun in self._begun:
            self._begun.remove(begun)
        begun.discard()
        abandoned.forget(begun)

    async def __aenter__(self) -> Begun:
        begun = self.begin()
        try:
            self._start(begun)
            return begun
        except BaseException as error:
            if is_interruption(error):
                self._forget(begun)
                raise
            METRICS.count_error(self.source, error)  # type: ignore[arg-type]  # No Exception: passed on.
            return begun

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Function) -> Function:
        """Return ``function``, tracked at each call; a generator is tracked to its end."""
        if inspect.isasyncgenfunction(function):
            tracked: Any = self._async_generator(function)
        elif inspect.isgeneratorfunction(function):
            tracked = self._generator(function)
        elif iscoroutinefunction(function):
            tracked = self._coroutine(function)
        else:
            tracked = self._plain(function)
        wrapped: Any = functools.wraps(function)(tracked)
        return wrapped  # type: ignore[no-any-return]  # wraps() keeps the signature.

    def _another(self) -> TrackedBlock[Begun]:
        another = object.__new__(type(self))
        vars(another).update({**vars(self), "_begun": []})
        return another

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def tracked(*args: Any, **kwargs: Any) -> Any:
            with self._another():
                return function(*args, **kwargs)

        return tracked

    def _coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def tracked(*args: Any, **kwargs: Any) -> Any:
            with self._another():
                return await function(*args, **kwargs)

        return tracked

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def tracked(*args: Any, **kwargs: Any) -> Any:
            with self._another():
                return (yield from function(*args, **kwargs))

        return tracked

    def _async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        # There is no ``yield from`` here: what is sent and thrown is passed on explicitly.
        async def tracked(*args: Any, **kwargs: Any) -> Any:
            with self._another():
                async with aclosing(function(*args, **kwargs)) as chunks:
                    step, argument = chunks.asend, None
                    while True:
                        try:
                            chunk = await step(argument)
                        except StopAsyncIteration:
                            return
                        try:
                            step, argument = chunks.asend, (yield chunk)
                        except GeneratorExit:
                            raise
                        except BaseException as error:
                            step, argument = chunks.athrow, error

        return tracked
