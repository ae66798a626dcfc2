"""What happened, in the caller's words.

A recorder takes the facts of one event and changes every family that tells of it.
None of them raises: wrong input is counted in ``tachikoma_metrics_errors_total``,
what is right in it is recorded.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue.labels import OTHER, STATIC, UNMATCHED, clean, route_template
from tachikoma_metrics.registry import METRICS, Event

Function = TypeVar("Function", bound=Callable[..., Any])


STATIC_ROUTE = "\0static"
"""Stands for the route of a file that a middleware served; no URLconf has it."""

_WITHOUT_ROUTE = {None: UNMATCHED, STATIC_ROUTE: STATIC}

HttpFacts = tuple[str, str | None, int, str, str, tuple[str, ...]]
"""Method, route, status, view, and the language prefix of the route, as they come; and
what a request is asked for if a label shows it: the scheme and ``EXTRA_LABELS``."""


def _named(facts: HttpFacts) -> tuple[str, ...]:
    method, route, status, view, language, asked = facts
    path = _WITHOUT_ROUTE.get(route) or route_template(str(route), language)
    return (method, path, str(int(status)), view, *asked)


HTTP_REQUEST = Event(
    "http",
    ("method", "path", "status", "view", "scheme"),
    catalogue.HTTP_REQUESTS,
    catalogue.HTTP_REQUEST_DURATION,
    catalogue.HTTP_REQUEST_SIZE,
    catalogue.HTTP_RESPONSE_SIZE,
    catalogue.HTTP_RESPONSE_TIME_TO_FIRST_BYTE,
    catalogue.HTTP_REQUEST_DB_QUERIES,
    catalogue.HTTP_REQUEST_DB,
    in_progress=catalogue.HTTP_REQUESTS_IN_FLIGHT,
    named=_named,
    has_request=True,
)
"""A request: its amounts are 1, seconds, bytes of its body and of the answer's, the
seconds to the first of these, database queries and the seconds they took. ``UNKNOWN``
stands for what nobody knows."""

WS_CONNECTION = Event(
    "websocket",
    (),
    catalogue.WS_CONNECTIONS,
    in_progress=catalogue.WS_CONNECTIONS_CURRENT,
)
"""A WebSocket connection that is accepted, and in progress until it ends."""

WS_DISCONNECT = Event(
    "websocket",
    ("code",),
    catalogue.WS_DISCONNECTS,
    catalogue.WS_CONNECTION_DURATION,
)
"""The end of such a connection: its amounts are 1 and the seconds it was open."""

WS_REJECTION = Event("websocket", ("reason",), catalogue.WS_CONNECTIONS_REJECTED)
"""A WebSocket connection that ended before it was accepted."""

WS_MESSAGE_RECEIVED = Event("websocket", ("message_type",), catalogue.WS_MESSAGES_RECEIVED)
"""A WebSocket message that came from a client."""

WS_MESSAGE_SENT = Event("websocket", ("message_type",), catalogue.WS_MESSAGES_SENT)
"""A WebSocket message that went to a client."""

EXECUTION = Event(
    "execution",
    ("backend", "model", "status"),
    catalogue.EXECUTIONS,
    catalogue.EXECUTION_DURATION,
    in_progress=catalogue.EXECUTIONS_IN_PROGRESS,
)
"""An execution of a language model: its amounts are 1 and seconds."""

_execution_tokens = Event("execution", ("backend", "model", "type"), catalogue.EXECUTION_TOKENS)
_first_chunk = Event("execution", ("backend", "model"), catalogue.EXECUTION_TIME_TO_FIRST_CHUNK)
_token_details = Event("execution", ("type", "backend", "model"), catalogue.EXECUTION_TOKEN_DETAILS)
_execution_cost = Event("execution", ("backend", "model"), catalogue.EXECUTION_COST_USD)
DB_QUERY = Event(
    "database",
    ("operation", "table", "alias"),
    catalogue.DB_QUERIES,
    catalogue.DB_QUERY_DURATION,
)
"""A database query: its amounts are 1 and seconds."""

DB_CONNECTION = Event("database", (), in_progress=catalogue.DB_CONNECTIONS_CURRENT)
"""A database connection, which begins when it opens and is abandoned when it closes."""

CACHE_HIT = Event("cache", ("cache",), catalogue.CACHE_HITS)
"""Keys that were found: the amount is their number."""

CACHE_MISS = Event("cache", ("cache",), catalogue.CACHE_MISSES)
"""Keys that were not found: the amount is their number."""

BACKEND_REQUEST = Event(
    "backend",
    ("backend", "endpoint"),
    catalogue.BACKEND_REQUESTS,
    catalogue.BACKEND_REQUEST_DURATION,
    in_progress=catalogue.BACKEND_REQUESTS_IN_PROGRESS,
)
"""A request to a backend's API: its amounts are 1 and seconds."""

_backend_error = Event("backend", ("backend", "error_type"), catalogue.BACKEND_ERRORS)
_file_change = Event("file_change", ("change_type", "status"), catalogue.FILE_CHANGES)


_MOST_MODELS = 50

_first_models: set[str] = set()


def model_name(model: object) -> str:
    """Return the model if ``LLM_MODELS`` lists it, else ``other``.

    Without a list, the first 50 models of a process are told apart.
    """
    try:
        name = clean(model)
    except Exception as error:
        METRICS.count_error("execution", error)
        return OTHER
    listed = conf.config().llm_models
    if listed:
        return name if name in listed else OTHER
    if name not in _first_models and len(_first_models) < _MOST_MODELS:
        _first_models.add(name)
    return name if name in _first_models else OTHER


def forget_models() -> None:
    """Have other models be the first. For tests."""
    _first_models.clear()


def record_execution(
    backend: str,
    model: str,
    status: str,
    duration_secs: float,
    tokens: tuple[int, int],
) -> None:
    """Record one execution of a language model that ended.

    ``model`` is one of ``LLM_MODELS``, else ``other``; ``status`` is ``success``, ``error``,
    ``timeout`` or ``cancelled``, ``duration_secs`` in seconds, and ``tokens`` the pair
    (prompt, completion).
    """
    model = model_name(model)
    EXECUTION.record((backend, model, status), (1, duration_secs))
    try:
        prompt, completion = tokens
    except Exception as error:
        METRICS.count_error("execution", error)
        return
    _execution_tokens.record((backend, model, "prompt"), (prompt,))
    _execution_tokens.record((backend, model, "completion"), (completion,))


def record_tokens(backend: str, model: str, prompt: int | None, completion: int | None) -> None:
    """Record the tokens of an execution; None is a number that nobody knows."""
    if prompt is not None:
        _execution_tokens.record((backend, model, "prompt"), (prompt,))
    if completion is not None:
        _execution_tokens.record((backend, model, "completion"), (completion,))


def record_execution_extras(
    backend: str,
    model: str,
    *,
    seconds_to_first_chunk: float | None = None,
    details: Mapping[str, int] | None = None,
    cost_usd: float | None = None,
) -> None:
    """Record what the opt-in families tell of an execution; None is what nobody knows.

    ``details`` are numbers of tokens by their finer kinds.
    """
    if seconds_to_first_chunk is not None:
        _first_chunk.record((backend, model), (seconds_to_first_chunk,))
    for kind, number in (details or {}).items():
        _token_details.record((kind, backend, model), (number,))
    if cost_usd is not None:
        _execution_cost.record((backend, model), (cost_usd,))


def record_db_query(operation: str, table: str, duration_secs: float, *, alias: str = "") -> None:
    """Record one database query that took ``duration_secs`` seconds.

    ``operation`` is ``select``, ``insert``, ``update``, ``delete``,
    ``transaction``, ``ddl`` or ``other``; ``alias`` is shown where ``LABELS`` asks
    for it.
    """
    DB_QUERY.record((operation, table, alias), (1, duration_secs))


def record_cache_hit(*, cache: str = "") -> None:
    """Record that a key was found; ``cache`` is shown where ``LABELS`` asks for it."""
    CACHE_HIT.record((cache,), (1,))


def record_cache_miss(*, cache: str = "") -> None:
    """Record that a key was not found; ``cache`` is shown where ``LABELS`` asks for it."""
    CACHE_MISS.record((cache,), (1,))


def record_backend_request(backend: str, endpoint: str, duration_secs: float) -> None:
    """Record one request to a backend's API that took ``duration_secs`` seconds.

    ``endpoint`` is the API operation, such as ``/v1/chat/completions``; keep it to a
    few values (``normalize_path`` helps).
    """
    BACKEND_REQUEST.record((backend, endpoint), (1, duration_secs))


def record_backend_error(backend: str, error_type: str) -> None:
    """Record that a request to a backend's API failed, and how.

    ``error_type`` is a word such as ``rate_limit`` or ``timeout``; keep it to a few.
    """
    _backend_error.record((backend, error_type), (1,))


def record_file_change(change_type: str, status: str) -> None:
    """Record one change of a file, such as ``("modify", "applied")``."""
    _file_change.record((change_type, status), (1,))


class Timer:
    """Measure seconds and hand them to ``callback``, once.

    The clock runs from the making of the timer, or from the start of its ``with``
    block; it is read at ``stop()``, or at the end of the block if not stopped. As a
    decorator it times each call of a function, sync or async.

    Of a generator function it would time no more than the making of the generator.
    A callback that raises is counted in ``tachikoma_metrics_errors_total``::

        with Timer(lambda seconds: record_db_query("select", "orders", seconds)):
            ...
    """

    def __init__(self, callback: Callable[[float], object]) -> None:
        self._callback = callback
        self._pending = [callback]
        self._seconds = 0.0
        self._started_at = time.perf_counter()

    def stop(self) -> float:
        """Call the callback unless it was called before; return the seconds measured."""
        seconds = time.perf_counter() - self._started_at
        try:
            # Popping is atomic: of two threads that stop a timer, one calls back.
            callback = self._pending.pop()
        except IndexError:
            return self._seconds
        self._seconds = seconds
        try:
            callback(seconds)
        except Exception as error:
            METRICS.count_error("timer", error)
        return seconds

    def __enter__(self) -> Timer:
        self._started_at = time.perf_counter()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def __call__(self, function: Function) -> Function:
        """Return ``function``, timed at each call."""
        if iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed(*args: Any, **kwargs: Any) -> Any:
                with Timer(self._callback):
                    return await function(*args, **kwargs)

        else:

            @functools.wraps(function)
            def timed(*args: Any, **kwargs: Any) -> Any:
                with Timer(self._callback):
                    return function(*args, **kwargs)

        return timed  # type: ignore[return-value]  # wraps() keeps the signature.
