"""The measurement of one HTTP request: started once, ended once, whatever happens."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase

from tachikoma_metrics.catalogue.labels import OTHER, STANDARD_METHODS
from tachikoma_metrics.conf import Config
from tachikoma_metrics.http.current_request import current
from tachikoma_metrics.http.dropped_bodies import dropped
from tachikoma_metrics.http.read_ahead import stream_class
from tachikoma_metrics.http.request_labels import (
    MAX_DIGITS,
    NO_SCHEME,
    NOT_MODIFIED,
    cached_content_length,
    content_length,
    facts_without_request,
    language_prefix,
    scheme_and_extra_labels,
    unmatched_route,
)
from tachikoma_metrics.http.streams import ServerSentBody, is_sent_by_server
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.recording.events import HTTP_REQUEST, HttpFacts
from tachikoma_metrics.registry import METRICS, UNKNOWN, Progress
from tachikoma_metrics.store import STORE

# As in nginx: https://nginx.org/en/docs/dev/development_guide.html#http_response
CLIENT_CLOSED_REQUEST = 499
"""The status of a request whose client disconnected before the response was complete."""

# https://www.rfc-editor.org/rfc/rfc9112#name-message-body-length
_WITHOUT_BODY = frozenset({*range(100, 200), 204, NOT_MODIFIED})
_NO_QUERIES = (0.0, 0.0)
"""The number of database queries, and the seconds they took."""


class Measurement(Progress):
    """Measure a request, from now on; a caller that starts it must also end it.

    It ends when the response body is complete or closed, or when no response is made. Then the
    request is recorded, and no longer in flight.

    A view may make an inner request while it answers another one, with the test client, say. It
    is recorded under its own route; one without a route, such as a page preview, has no client
    either, and is part of the outer request.
    """

    __slots__ = (
        "__weakref__",
        "_counts_as_complete",
        "_facts",
        "_first_byte_at",
        "_is_answered",
        "_method",
        "_outer",
        "_queries",
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
        self.is_over = self._is_answered = self._counts_as_complete = False
        self.life = STORE.life
        self._facts: HttpFacts | None = None
        self._first_byte_at: float | None = None
        self._request_bytes = UNKNOWN
        self._sent = 0.0
        self._queries = _NO_QUERIES
        self._request: HttpRequest | None = request
        # Another middleware may change it on the way to the view.
        self._method = request.method
        outer = current.get()
        self._outer = None if outer is None or outer.is_over else outer
        self._started_at = perf_counter()

    def start(self) -> None:
        """Count as in flight, and become the current request.

        Raises only what a signal handler or another thread raises here.
        """
        HTTP_REQUEST.begin(self, self._started_at)
        current.set(self)

    def follow(self, response: HttpResponseBase) -> HttpResponseBase:
        """Return ``response``; record the request now or, for a stream, at the stream's end."""
        self._is_answered = True
        if self._outer is not None:
            self._return_to_outer()
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
                self._record(facts, len(response.content))  # type: ignore[attr-defined]  # Others raise, and are handled below.
        except Exception as error:
            pass_on(error)
            # The size of another class of response is unknown. What is no response, such as
            # the None of a middleware without a return, Django or the server reports.
            if isinstance(response, (HttpResponse, StreamingHttpResponse)):
                METRICS.count_error("http", error)
            self.end(UNKNOWN)
        return response

    # --- for response bodies and handlers; none of these raises -----------------

    def add_chunk(self, size: int) -> None:
        """Count ``size`` bytes of a streamed body as sent."""
        if self._first_byte_at is None:
            self._first_byte_at = perf_counter()
        # The server sends no body in response to HEAD, though it may read one.
        if not self._counts_as_complete:
            self._sent += size

    def count_query(self, seconds: float) -> None:
        """Count a database query that took ``seconds``."""
        queries, query_seconds = self._queries
        self._queries = queries + 1, query_seconds + seconds

    def complete(self) -> None:
        """End with a streamed body that was read to its end."""
        self.end(self._sent)

    def close(self) -> None:
        """End with a streamed body that the server closed.

        The client has disconnected, unless the body was complete or none was to be sent.
        """
        if not self.is_over and not self._counts_as_complete:
            self._change_status(CLIENT_CLOSED_REQUEST)
        self.end(self._sent)

    def drop(self) -> None:
        """End, a little later, with a streamed body that was neither read nor closed.

        The garbage collector may call this in a thread that holds the lock that recording
        needs: the next request or scrape records the end.
        """
        if not self.is_over:
            dropped.append(self)

    def fail(self, error: BaseException) -> None:
        """End with an exception: a cancellation, or one that the app raised."""
        self._is_answered = True
        if self._outer is not None:
            self._return_to_outer()
        is_cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
        self._change_status(CLIENT_CLOSED_REQUEST if is_cancelled else 500)
        self.end(UNKNOWN if self._first_byte_at is None else self._sent)

    def client_disconnected(self) -> None:
        """Note that the client disconnected while it sent the request, whatever the response."""
        try:
            if not self.is_over:
                self._change_status(CLIENT_CLOSED_REQUEST)
        except Exception as error:
            METRICS.count_error("http", error)

    def discard(self) -> None:
        """End without a record."""
        try:
            HTTP_REQUEST.abandon(self)
        except Exception as error:
            METRICS.count_error("http", error)
        # Last, so that an interrupted call still knows whether the request has a route.
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

    def _return_to_outer(self) -> None:
        """Make the outer request the current one again.

        For a stream this happens before its body is read, by the code that made the request.
        """
        outer = self._outer
        try:
            # A coroutine may be closed in another context than it ran in.
            if current.get() is self:
                current.set(outer)
            has_route = self._request is None or self._request.resolver_match is not None
            if outer is not None and not outer._is_answered and not has_route:
                outer.take_over(self)
                self.discard()
        except Exception as error:
            METRICS.count_error("http", error)
        # Last, so that an interrupted call is made again.
        self._outer = None

    def take_over(self, inner: Measurement) -> None:
        """Count the queries of an inner request that is a part of this one."""
        queries, seconds = self._queries
        inner_queries, inner_seconds = inner._queries
        self._queries = queries + inner_queries, seconds + inner_seconds
        inner._queries = _NO_QUERIES

    def _record(self, facts: HttpFacts, response_bytes: float) -> None:
        now = perf_counter()
        seconds = now - self._started_at
        first_byte = self._first_byte_at
        to_first_byte = seconds if first_byte is None else first_byte - self._started_at
        queries, query_seconds = self._queries
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
        status = response.status_code
        self._take_facts(status)
        self._counts_as_complete = self._method == "HEAD" or status in _WITHOUT_BODY
        if is_sent_by_server(request, response):
            self._follow_file(response)
            return
        # Not streaming_content: it refers back to the response, and a response that the
        # server drops unclosed would wait for the garbage collector.
        chunks: Any = response._iterator  # type: ignore[attr-defined]
        stream = stream_class(request, is_async=response.is_async)
        response.streaming_content = stream(chunks, response.charset, self)

    def _follow_file(self, response: StreamingHttpResponse) -> None:
        # A wrapped body would take the server's way to send the file from it. How much of the
        # file it sends is unknown: all of it is assumed.
        length = content_length(response.headers.get("Content-Length", ""))
        self._sent = 0 if self._counts_as_complete else length
        self._counts_as_complete = True
        # Django puts the close() of a body there; nothing else reports the end of a body
        # that is not wrapped.
        response._resource_closers.append(ServerSentBody(self).close)  # type: ignore[attr-defined]

    # Long: one call in each request.
    def _take_facts(self, status: int) -> HttpFacts:
        """Read the request, once, and release it: a stream may go on for hours."""
        request = self._request
        if request is None:
            return self._facts or facts_without_request(self._method, status)
        self._request = None
        try:
            length = request.META.get("CONTENT_LENGTH")
            if length:
                # A test client may have put a number there.
                text = f"{length}"
                if len(text) <= MAX_DIGITS:
                    self._request_bytes = cached_content_length(text)
            method = self._method
            match = request.resolver_match
            if match is None:
                route, view = unmatched_route(request, status)
            else:
                route, view = match.route, match.view_name
            self._facts = facts = (
                method if method in STANDARD_METHODS else OTHER,
                route,
                status,
                view,
                language_prefix(request) if "LANGUAGE_CODE" in request.__dict__ else "",
                scheme_and_extra_labels(request) if self._settings.asks_requests else NO_SCHEME,
            )
        except Exception as error:
            METRICS.count_error("http", error)
            self._facts = facts = facts_without_request(self._method, status)
        return facts

    def _change_status(self, status: int) -> None:
        facts = self._take_facts(status)
        self._facts = (*facts[:2], status, *facts[3:])
