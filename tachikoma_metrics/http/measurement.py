"""One HTTP request being measured: begun once, ended once, whatever happens."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from functools import lru_cache
from time import perf_counter
from typing import Any, Protocol

from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from tachikoma_metrics.catalogue.labels import (
    OTHER,
    STANDARD_METHODS,
    STATIC,
    UNMATCHED,
    method_name,
)
from tachikoma_metrics.conf import Config, config, file_prefixes, root_urlconf
from tachikoma_metrics.http.streams import (
    MeasuredAsyncStream,
    MeasuredStream,
    ReadAheadAsyncStream,
    ReadAheadStream,
    ServerSentBody,
)
from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.recording.events import HTTP_REQUEST, STATIC_ROUTE, HttpFacts
from tachikoma_metrics.registry import METRICS, UNKNOWN, Progress
from tachikoma_metrics.store import STORE

CLIENT_LEFT = 499
"""The status of a request whose client left before the answer was complete.

nginx's: https://nginx.org/en/docs/dev/development_guide.html#http_response
"""

# https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length
_NOT_MODIFIED = 304
_WITHOUT_BODY = frozenset({*range(100, 200), 204, _NOT_MODIFIED})
_UNASKED = ("",)
_NOTHING = (0.0, 0.0)
"""What was asked of databases: queries, and the seconds they took."""

_MOST_DIGITS = 18

dropped: deque[Closable] = deque()
"""What was dropped with a streamed body, ours or a backend's, for ``finish_dropped`` to end."""
_current: ContextVar[Measurement | None] = ContextVar("measurement", default=None)


class Closable(Protocol):
    """Whatever has to be ended later than it is dropped."""

    def close(self) -> None:
        """End, if that was not done before."""


class Measurement(Progress):
    """Measure a request, from now on; it is to begin when an end is certain.

    Ends when the body of the answer is complete, is closed, or when making the answer
    is broken off: then in-flight goes down and the request is recorded.

    A request that is made while another is answered, by the test client in a view, say, is
    inside that one. It is recorded under its own route; one without a route, such as a
    page preview, has no client either, and is a part of the other.
    """

    __slots__ = (
        "__weakref__",
        "_around",
        "_asked",
        "_counts_as_read",
        "_facts",
        "_first_byte_at",
        "_is_answered",
        "_method",
        "_request",
        "_request_bytes",
        "_sent",
        "_settings",
        "_started_at",
    )

    def __init__(self, request: HttpRequest, settings: Config) -> None:
        self._settings = settings
        # What Progress sets, without a call.
        self.cell = None
        self.is_over = self._is_answered = self._counts_as_read = False
        self.life = STORE.life
        self._facts: HttpFacts | None = None
        self._first_byte_at: float | None = None
        self._request_bytes = UNKNOWN
        self._sent = 0.0
        self._asked = _NOTHING
        self._request: HttpRequest | None = request
        # A middleware of the project's may change it on the way to the view.
        self._method = request.method
        around = _current.get()
        self._around = None if around is None or around.is_over else around
        self._started_at = perf_counter()

    def start(self) -> None:
        """Be in flight from now on, and the current one. Raises only what comes from outside."""
        HTTP_REQUEST.begin(self, self._started_at)
        _current.set(self)

    def follow(self, response: HttpResponseBase) -> HttpResponseBase:
        """Return ``response``, having measured it or made sure that it will be."""
        self._is_answered = True
        if self._around is not None:
            self._leave()
        if self.is_over:
            return response
        try:
            if isinstance(response, StreamingHttpResponse):
                self._follow_stream(response)
                return response
            status = response.status_code
            facts = self._take_facts(status)
            if self._method == "HEAD" or status in _WITHOUT_BODY:
                self._record(facts, 0.0)
            else:
                self._record(facts, len(response.content))  # type: ignore[attr-defined]  # See below.
        except Exception as error:
            pass_on(error)
            # Of another kind of response nobody can know the size, and of what is no response
            # at all, such as the None of a middleware without a return, Django or the server tells.
            if isinstance(response, (HttpResponse, StreamingHttpResponse)):
                METRICS.count_error("http", error)
            self.end(UNKNOWN)
        return response

    # --- what a body or a handler tells; none of these raises -------------------

    def pass_chunk(self, size: int) -> None:
        """Take note of ``size`` bytes of a streamed body that are on their way."""
        if self._first_byte_at is None:
            self._first_byte_at = perf_counter()
        # Of what has no body, such as the answer to HEAD, the server sends none of it.
        if not self._counts_as_read:
            self._sent += size

    def count_query(self, seconds: float) -> None:
        """Take note of a database query that took ``seconds``."""
        queries, query_seconds = self._asked
        self._asked = queries + 1, query_seconds + seconds

    def complete(self) -> None:
        """End with a streamed body that was read to its end."""
        self.end(self._sent)

    def close(self) -> None:
        """End with a streamed body that nobody asks for any more.

        Unless there was none to read, the client has left.
        """
        if not self.is_over and not self._counts_as_read:
            self._change_status(CLIENT_LEFT)
        self.end(self._sent)

    def drop(self) -> None:
        """End, a little later, with a streamed body that was neither read nor closed.

        Called while anything may be under way, even where the very lock is held that
        recording needs: the next request or scrape does it.
        """
        if not self.is_over:
            dropped.append(self)

    def break_off(self, error: BaseException) -> None:
        """End with an exception: of a cancelled request, or of the app's own."""
        self._is_answered = True
        if self._around is not None:
            self._leave()
        is_cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
        self._change_status(CLIENT_LEFT if is_cancelled else 500)
        self.end(UNKNOWN if self._first_byte_at is None else self._sent)

    def lose_client(self) -> None:
        """Take note that the client left while it sent its request, whatever is answered."""
        try:
            if not self.is_over:
                self._change_status(CLIENT_LEFT)
        except Exception as error:
            METRICS.count_error("http", error)

    def discard(self) -> None:
        """End without a record."""
        try:
            HTTP_REQUEST.abandon(self)
        except Exception as error:
            METRICS.count_error("http", error)
        # Last: one that is interrupted is still known to be a part of another request.
        self._request = None

    def end(self, response_bytes: float) -> None:
        """Record the request, once."""
        try:
            if not self.is_over:
                self._record(self._facts or self._take_facts(500), response_bytes)
        except BaseException as error:
            self.discard()
            if not isinstance(error, Exception):
                raise
            METRICS.count_error("http", error)

    def _leave(self) -> None:
        """Make the request that this one was made inside the current one again.

        For a stream that is before its body is read, by the code that made the request.
        """
        around = self._around
        try:
            # A coroutine may be closed in another context than it ran in.
            if _current.get() is self:
                _current.set(around)
            has_route = self._request is None or self._request.resolver_match is not None
            if around is not None and not around._is_answered and not has_route:
                around.take_over(self)
                self.discard()
        except Exception as error:
            METRICS.count_error("http", error)
        # Last: one that is interrupted is left again.
        self._around = None

    def take_over(self, inner: Measurement) -> None:
        """Count the queries of a request that is a part of this one."""
        queries, seconds = self._asked
        inner_queries, inner_seconds = inner._asked
        self._asked = queries + inner_queries, seconds + inner_seconds
        inner._asked = _NOTHING

    def _record(self, facts: HttpFacts, response_bytes: float) -> None:
        now = perf_counter()
        seconds = now - self._started_at
        first_byte = self._first_byte_at
        to_first_byte = seconds if first_byte is None else first_byte - self._started_at
        queries, query_seconds = self._asked
        amounts = (
            1.0,
            seconds,
            self._request_bytes,
            response_bytes,
            to_first_byte,
            queries,
            query_seconds,
        )
        HTTP_REQUEST.record_valid(facts, amounts, self, now)

    def _follow_stream(self, response: StreamingHttpResponse) -> None:
        request = self._request
        is_left_to_server = request is not None and "wsgi.file_wrapper" in request.META
        status = response.status_code
        self._take_facts(status)
        self._counts_as_read = self._method == "HEAD" or status in _WITHOUT_BODY
        if is_left_to_server and _is_file(response):
            # Wrapping the body would take the server's way to send it. How much of it
            # was sent, nobody knows: it counts as all of it.
            length = content_length(response.headers.get("Content-Length", ""))
            self._sent = 0 if self._counts_as_read else length
            self._counts_as_read = True
            body = ServerSentBody(self)
            # Where Django itself puts the close() of a body; there is no other way to
            # hear of the end of one that is not wrapped.
            response._resource_closers.append(body.close)  # type: ignore[attr-defined]
            return
        # Not streaming_content: it refers back to the response, and a response that the
        # server drops unclosed would wait for the garbage collector.
        chunks: Any = response._iterator  # type: ignore[attr-defined]
        stream = _STREAMS[response.is_async, _is_read_ahead(request, response.is_async)]
        response.streaming_content = stream(chunks, response.charset, self)

    def _take_facts(self, status: int) -> HttpFacts:
        """Read the request, once, and let go of it: a stream may go on for hours."""
        request = self._request
        if request is None:
            return self._facts or _no_facts(self._method, status)
        self._request = None
        try:
            length = request.META.get("CONTENT_LENGTH")
            if length:
                # A test client may have put a number there.
                text = f"{length}"
                if len(text) <= _MOST_DIGITS:
                    self._request_bytes = _remembered_length(text)
            method = self._method
            match = request.resolver_match
            if match is None:
                route, view = _without_route(request, status)
            else:
                route, view = match.route, match.view_name
            self._facts = facts = (
                method if method in STANDARD_METHODS else OTHER,
                route,
                status,
                view,
                _language(request) if "LANGUAGE_CODE" in request.__dict__ else "",
                _asked(request) if self._settings.asks_requests else _UNASKED,
            )
        except Exception as error:
            METRICS.count_error("http", error)
            self._facts = facts = _no_facts(self._method, status)
        return facts

    def _change_status(self, status: int) -> None:
        facts = self._take_facts(status)
        self._facts = (*facts[:2], status, *facts[3:])


def finish_dropped() -> None:
    """End the measurements whose streamed body was dropped: nobody got all of it."""
    while True:
        try:
            one = dropped[0]
        except IndexError:
            return
        # It ends once, whichever threads close it, and stays here until one of them has.
        one.close()
        with suppress(ValueError):
            dropped.remove(one)


def count_query(seconds: float) -> None:
    """Count a database query for the request in whose context this is called."""
    measurement = _current.get()
    if measurement is not None:
        measurement.count_query(seconds)


def lose_client_of_current() -> None:
    """Count the request as one whose client left in whose context this is called."""
    measurement = _current.get()
    if measurement is not None:
        measurement.lose_client()


def discard_current() -> None:
    """Leave the request unmeasured in whose context this is called."""
    measurement = _current.get()
    if measurement is not None:
        measurement.discard()


def _without_route(request: HttpRequest, status: int) -> tuple[str | None, str]:
    """Return what stands for the route and for the view of a request that none matched.

    What a middleware serves below the URL of static files is a file if it is a success.
    """
    if 200 <= status < 300 or status == _NOT_MODIFIED:
        prefixes = file_prefixes()
        if request.path_info.startswith(prefixes) or request.path.startswith(prefixes):
            return STATIC_ROUTE, STATIC
    return None, UNMATCHED


def _no_facts(method: str | None, status: int) -> HttpFacts:
    return method_name(method), None, status, UNMATCHED, "", _UNASKED


def _asked(request: HttpRequest) -> tuple[str, ...]:
    """Return the scheme, and the values of ``EXTRA_LABELS`` in use."""
    dotted_paths = config().request_labels.values()
    return (request.scheme or "", *(_extra_label(path, request) for path in dotted_paths))


def content_length(header: str) -> float:
    """Return the length a ``Content-Length`` header gives, or ``UNKNOWN``.

    Only ASCII digits are a length: Python's ``int`` would also take signs, underscores and
    the digits of other scripts. https://www.rfc-editor.org/rfc/rfc9110#name-content-length
    """
    is_length = len(header) <= _MOST_DIGITS and header.isascii() and header.isdigit()
    return float(header) if is_length else UNKNOWN


# Of short ones alone: a client may fill any length with zeros.
_remembered_length = lru_cache(1024)(content_length)


def _extra_label(dotted_path: str, request: HttpRequest) -> str:
    try:
        value = import_string(dotted_path)(request)
        return "" if value is None else str(value)
    except Exception as error:
        METRICS.count_error("extra_label", error, dotted_path)
        return ""


def _language(request: HttpRequest) -> str:
    language = getattr(request, "LANGUAGE_CODE", "")
    if not language:
        return ""
    is_used, _ = is_language_prefix_patterns_used(getattr(request, "urlconf", root_urlconf()))
    return language if is_used else ""


_STREAMS: dict[tuple[bool, bool], Callable[[Any, str, Measurement], Any]] = {
    (False, False): MeasuredStream,
    (False, True): ReadAheadStream,
    (True, False): MeasuredAsyncStream,
    (True, True): ReadAheadAsyncStream,
}
"""What measures a body, by whether it is async and whether Django reads it ahead."""


def _is_read_ahead(request: HttpRequest | None, is_async: bool) -> bool:
    """Tell whether Django reads a body to its end first, for the server is of the other kind."""
    return isinstance(request, WSGIRequest if is_async else ASGIRequest)


def _is_file(response: StreamingHttpResponse) -> bool:
    return isinstance(response, FileResponse) and response.file_to_stream is not None
