"""The type of an error, as one of a few words: by HTTP status, or by the names of classes.

None of the classes is imported: those of httpx, requests, the SDKs, Celery and trio are
recognised by their names, and their subclasses by the names of their bases.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any

CANCELLED, TIMEOUT, OTHER = "cancelled", "timeout", "other"
CONNECTION, PROTOCOL = "connection", "protocol"
SERVER_ERROR, CLIENT_ERROR = "server_error", "client_error"

_CANCELLATIONS = (
    asyncio.CancelledError,
    concurrent.futures.CancelledError,
    GeneratorExit,
    KeyboardInterrupt,
    SystemExit,
)
_CANCELLATION_NAMES = frozenset({"Cancelled"})
_TIMEOUT_NAMES = frozenset(
    {"APITimeoutError", "SoftTimeLimitExceeded", "Timeout", "TimeoutException", "TimeoutError"}
)
_CONNECTION_NAMES = frozenset(
    {
        "APIConnectionError",
        "ConnectionError",
        "NetworkError",
        "NewConnectionError",
        "ProxyError",
        "SSLError",
        "URLError",
        "gaierror",
    }
)
_GROUP_NAMES = frozenset({"BaseExceptionGroup", "ExceptionGroup", "MultiError"})
"""Of Python 3.11, of the package exceptiongroup for 3.10, and of old versions of trio."""

_WRAPPING_PACKAGES = frozenset({"anthropic", "litellm", "openai"})
"""They wrap any exception that ends a request in another, not always ``from`` it."""

_MOST_CAUSES = 20

_DISCONNECTION_NAMES = frozenset(
    {
        "BrokenResourceError",
        "ClosedResourceError",
        "ConnectionClosed",
        "Disconnected",
        "WebSocketDisconnect",
    }
)
_PROTOCOL_NAMES = frozenset(
    {
        "ChunkedEncodingError",
        "DecodeError",
        "DecodingError",
        "HTTPException",
        "ProtocolError",
        "UnsupportedProtocol",
    }
)

_BY_STATUS: dict[int, str] = {
    400: "invalid_request",
    401: "authentication",
    403: "permission",
    404: "not_found",
    408: TIMEOUT,
    409: "conflict",
    413: "too_large",
    422: "unprocessable",
    429: "rate_limit",
    503: "overloaded",
    529: "overloaded",
}
"""529 is Anthropic's: https://docs.claude.com/en/api/errors"""

ERROR_TYPES = frozenset(
    {*_BY_STATUS.values(), CLIENT_ERROR, SERVER_ERROR, CANCELLED, CONNECTION, PROTOCOL, OTHER}
)
"""All values that ``error_of_status`` and ``error_of`` return."""


def is_cancellation(error: BaseException) -> bool:
    """Return whether ``error`` ends a task, a generator or the process."""
    return isinstance(error, _CANCELLATIONS) or bool(_names(error) & _CANCELLATION_NAMES)


def is_timeout(error: BaseException) -> bool:
    """Return whether ``error`` says that something took too long."""
    return bool(_names(error) & _TIMEOUT_NAMES)


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error``, its cause, and so on to the first cause."""
    cause: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if cause is None:
            return
        yield cause
        cause = _cause_of(cause)


def members_of(error: BaseException) -> Sequence[BaseException]:
    """Return the exceptions in an exception group; none of any other exception."""
    if not _names(error) & _GROUP_NAMES:
        return ()
    members: Sequence[BaseException] = error.exceptions  # type: ignore[attr-defined]  # A group.
    return members


def shared(kinds: set[str]) -> str | None:
    """Return the one type of all members of a group; None if they have several.

    Cancelled members do not count beside others, because a failure of those cancels the rest.
    """
    rest = kinds - {CANCELLED} or kinds
    return next(iter(rest)) if len(rest) == 1 else None


def is_disconnection(error: BaseException) -> bool:
    """Return whether a server's ``send`` raised ``error`` because the client has disconnected.

    By the specification it is an OSError then; not all servers follow that:
    https://asgi.readthedocs.io/en/latest/specs/main.html#error-handling
    A timeout without an error number comes from a limit in Python code, not from the socket.
    """
    if isinstance(error, TimeoutError) and error.errno is None:
        return False
    return isinstance(error, OSError) or bool(_names(error) & _DISCONNECTION_NAMES)


def error_of_status(status: int) -> str | None:
    """Return the type of error of an HTTP status; None if it is not an error."""
    if status < HTTPStatus.BAD_REQUEST:
        return None
    general = CLIENT_ERROR if status < HTTPStatus.INTERNAL_SERVER_ERROR else SERVER_ERROR
    return _BY_STATUS.get(status, general)


def error_of(error: BaseException) -> str:
    """Return the type of error of an exception.

    It is found by the names of the exception's classes, then by the HTTP status of the exception
    or its response; else it is ``other``. The names come first, because litellm gives a status to
    failures that have none. For a group it is the type of all members, if they have the same.
    """
    if members := members_of(error):
        return shared({error_of(member) for member in members}) or OTHER
    if is_cancellation(error):
        return CANCELLED
    names = _names(error)
    # The SDKs wrap everything that is raised while they wait in it.
    if "APIConnectionError" in names and any(map(is_timeout, causes_of(error))):
        return TIMEOUT
    for kind, known in (
        (TIMEOUT, _TIMEOUT_NAMES),
        (CONNECTION, _CONNECTION_NAMES),
        (PROTOCOL, _PROTOCOL_NAMES),
    ):
        if names & known:
            return kind
    return _error_of_status_in(error) or OTHER


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _cause_of(error: BaseException) -> BaseException | None:
    if error.__cause__ is not None or error.__suppress_context__:
        return error.__cause__
    package = type(error).__module__.partition(".")[0]
    return error.__context__ if package in _WRAPPING_PACKAGES else None


def _error_of_status_in(error: Any) -> str | None:
    response = getattr(error, "response", None)
    for holder, name in ((error, "status_code"), (error, "status"), (response, "status_code")):
        status = getattr(holder, name, None)
        if isinstance(status, int) and 400 <= status < 600:
            return error_of_status(status)
    return None
