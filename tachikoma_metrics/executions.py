"""Executions of a language model: begun, ended once, with what became of them."""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
from collections.abc import Callable
from contextlib import aclosing
from time import perf_counter
from types import TracebackType
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction

from tachikoma_metrics.recorders import (
    EXECUTION,
    model_name,
    record_execution_extras,
    record_tokens,
)
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.tokens import Tokens

Function = TypeVar("Function", bound=Callable[..., Any])

SUCCESS, ERROR, TIMEOUT, CANCELLED = "success", "error", "timeout", "cancelled"

_CANCELLATIONS = (
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
    GeneratorExit,
    KeyboardInterrupt,
)
_TIMEOUT_NAMES = frozenset(
    {"APITimeoutError", "SoftTimeLimitExceeded", "Timeout", "TimeoutException", "TimeoutError"}
)
"""Names of classes: httpx's, requests', the SDKs' and Celery's, none of which is imported."""


def status_of(error: BaseException | None) -> str:
    """Return ``success``, ``error``, ``timeout`` or ``cancelled``, by what was raised."""
    if error is None:
        return SUCCESS
    if isinstance(error, _CANCELLATIONS):
        return CANCELLED
    names = {kind.__name__ for kind in type(error).__mro__}
    return TIMEOUT if names & _TIMEOUT_NAMES else ERROR


class Execution:
    """One execution under way; none of its methods raises."""

    def __init__(self, backend: str, model: str) -> None:
        self.backend = backend
        self.model = model
        self._tokens = Tokens()
        self._cost: float | None = None
        self._first_chunk_at: float | None = None
        self._started_at = perf_counter()
        self._begun = EXECUTION.begin(self._started_at)
        self._pending = [True]

    def usage(self, response: object) -> None:
        """Take the tokens from an answer, or from a chunk or event of a streamed one.

        Understands OpenAI's and Anthropic's objects, and dictionaries of their shapes.
        """
        try:
            self._tokens.take(response)
        except Exception as error:
            METRICS.fault("execution", error)

    def first_chunk(self) -> None:
        """Take note that the first chunk of the answer arrived; later calls change nothing."""
        if self._first_chunk_at is None:
            self._first_chunk_at = perf_counter()

    def cost(self, usd: float) -> None:
        """Take note of what the execution cost, in US dollars."""
        self._cost = usd

    def end(self, status: str) -> None:
        """Record the execution, once."""
        try:
            # Popping is atomic: of two that end it, one does.
            self._pending.pop()
        except IndexError:
            return
        now = perf_counter()
        model = model_name(self.model)
        facts = (self.backend, model, status)
        EXECUTION.record_sound(facts, (1.0, now - self._started_at), self._begun, now)
        record_tokens(self.backend, model, self._tokens.prompt, self._tokens.completion)
        first = self._first_chunk_at
        record_execution_extras(
            self.backend,
            model,
            seconds_to_first_chunk=None if first is None else first - self._started_at,
            details=dict(self._tokens.details()),
            cost_usd=self._cost,
        )


class track_execution:  # Reads as what it does: with track_execution(...).
    """Measure an execution of a language model: a ``with`` or ``async with`` block, or a function.

    ``status`` is ``success`` unless the block raises: then ``timeout``, ``cancelled`` or
    ``error``, and the exception passes through.

        with track_execution("openai", "gpt-5") as execution:
            execution.usage(client.chat.completions.create(...))
    """

    def __init__(self, backend: str, model: str) -> None:
        self._backend = backend
        self._model = model
        self._executions: list[Execution] = []

    def __enter__(self) -> Execution:
        execution = Execution(self._backend, self._model)
        self._executions.append(execution)
        return execution

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._executions.pop().end(status_of(error))

    async def __aenter__(self) -> Execution:
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.__exit__(kind, error, traceback)

    def __call__(self, function: Function) -> Function:
        """Return ``function``, each call of which is an execution; a generator's to its end."""
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

    def _plain(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def tracked(*args: Any, **kwargs: Any) -> Any:
            with track_execution(self._backend, self._model):
                return function(*args, **kwargs)

        return tracked

    def _coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def tracked(*args: Any, **kwargs: Any) -> Any:
            with track_execution(self._backend, self._model):
                return await function(*args, **kwargs)

        return tracked

    def _generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def tracked(*args: Any, **kwargs: Any) -> Any:
            with track_execution(self._backend, self._model):
                return (yield from function(*args, **kwargs))

        return tracked

    def _async_generator(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def tracked(*args: Any, **kwargs: Any) -> Any:
            with track_execution(self._backend, self._model):
                async with aclosing(function(*args, **kwargs)) as chunks:
                    async for chunk in chunks:
                        yield chunk

        return tracked
