"""One HTTP request being measured: begun once, ended once, whatever happens."""

from __future__ import annotations

import asyncio
import re
from collections import deque
from contextvars import ContextVar
from time import perf_counter
from types import TracebackType
from typing import Any

from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from tachikoma_metrics.conf import config, root_urlconf
from tachikoma_metrics.labels import UNMATCHED, method_name, route_template
from tachikoma_metrics.recorders import (
    abandon_http_request,
    begin_http_request,
    record_http_request,
)
from tachikoma_metrics.registry import METRICS, UNKNOWN
from tachikoma_metrics.streams import MeasuredAsyncStream, MeasuredStream, ServerSentBody

CLIENT_LEFT = 499
"""The status of a request whose client left before the answer was complete.

nginx's: https://nginx.org/en/docs/dev/development_guide.html#http_response
"""

_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)

_dropped: deque[Measurement] = deque()
_current: ContextVar[Measurement | None] = ContextVar("measurement", default=None)


class Measurement:
    """Measure the request in whose ``with`` block it stands.

    Ends when the body of the answer is complete, is closed, or when the block is
    left by an exception: then in-flight goes down and the request is recorded.
    """

    __slots__ = (
        "_begun",
        "_counts_as_read",
        "_facts",
        "_first_byte_at",
        "_is_left_to_server",
        "_is_over",
        "_method",
        "_request",
        "_request_bytes",
        "_sent",
        "_started_at",
    )

    def __init__(self, request: HttpRequest) -> None:
        self._request: HttpRequest | None = request
        # A middleware of the project's may change it on the way to the view.
        self._method = request.method
        self._is_over = False
        self._facts: tuple[str, ...] = ()
        self._request_bytes: float = UNKNOWN
        self._is_left_to_server = False
        self._counts_as_read = False
        self._sent: float = 0
        self._first_byte_at: float | None = None
        self._started_at = perf_counter()
        self._begun = begin_http_request(self._started_at)

    def __enter__(self) -> Measurement:
        _current.set(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None:
            self.break_off(error)

    def follow(self, response: HttpResponseBase) -> HttpResponseBase:
        """Return ``response``, having measured it or made sure that it will be."""
        if self._is_over:
            return response
        try:
            status = response.status_code
            self._take_facts(status)
            self._counts_as_read = self._method == "HEAD" or _is_bodiless(status)
            if isinstance(response, StreamingHttpResponse):
                self._follow_stream(response)
            elif self._counts_as_read:
                self.end(0)
            else:
                self.end(len(response.content) if isinstance(response, HttpResponse) else UNKNOWN)
        except Exception as error:
            METRICS.fault("http", error)
            self.end(UNKNOWN)
        return response

    def pass_chunk(self, size: int) -> None:
        """Take note of ``size`` bytes of a streamed body that are on their way."""
        if self._first_byte_at is None:
            self._first_byte_at = perf_counter()
        self._sent += size

    def complete(self) -> None:
        """End with a streamed body that was read to its end."""
        self.end(self._sent)

    def close(self) -> None:
        """End with a streamed body that nobody asks for any more.

        Unless there was none to read, the client has left.
        """
        if not self._is_over and not self._counts_as_read:
            self._change_status(CLIENT_LEFT)
        self.end(self._sent)

    def drop(self) -> None:
        """End, a little later, with a streamed body that was neither read nor closed.

        Called by a finaliser, which may run anywhere, even where the very lock is
        held that recording needs: the next request or scrape does it.
        """
        if not self._is_over:
            _dropped.append(self)

    def break_off(self, error: BaseException) -> None:
        """End with an exception: of a cancelled request, or of the app's own."""
        is_cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
        self._change_status(CLIENT_LEFT if is_cancelled else 500)
        self.end(UNKNOWN if self._first_byte_at is None else self._sent)

    def discard(self) -> None:
        """End without a record."""
        if not self._is_over:
            self._is_over = True
            self._request = None
            abandon_http_request(self._begun)

    def end(self, response_bytes: float) -> None:
        """Record the request, once."""
        if self._is_over:
            return
        self._is_over = True
        ended_at = perf_counter()
        self._take_facts(500)
        record_http_request(
            self._begun,
            self._facts,
            ended_at - self._started_at,
            request_bytes=self._request_bytes,
            response_bytes=response_bytes,
            first_byte_seconds=(self._first_byte_at or ended_at) - self._started_at,
            now=ended_at,
        )

    def _follow_stream(self, response: StreamingHttpResponse) -> None:
        if self._is_left_to_server and _is_file(response):
            # Wrapping the body would take the server's way to send it. How much of it
            # was sent, nobody knows: it counts as all of it.
            length = content_length(response.headers.get("Content-Length"))
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
        stream = MeasuredAsyncStream if response.is_async else MeasuredStream
        response.streaming_content = stream(chunks, response.charset, self)

    def _take_facts(self, status: int) -> None:
        """Read the request, once, and let go of it: a stream may go on for hours."""
        request = self._request
        if request is None:
            return
        self._request = None
        try:
            self._facts = facts_of(request, self._method, status)
        except Exception as error:
            METRICS.fault("http", error)
            self._facts = (method_name(self._method), UNMATCHED, str(status), UNMATCHED, "")
        self._request_bytes = content_length(request.META.get("CONTENT_LENGTH"))
        self._is_left_to_server = "wsgi.file_wrapper" in request.META

    def _change_status(self, status: int) -> None:
        self._take_facts(status)
        self._facts = (*self._facts[:2], str(status), *self._facts[3:])


def settle() -> None:
    """End the measurements whose streamed body was dropped: nobody got all of it."""
    while _dropped:
        _dropped.popleft().close()


def discard_current() -> None:
    """Leave the request unmeasured in whose context this is called."""
    measurement = _current.get()
    if measurement is not None:
        measurement.discard()


def facts_of(request: HttpRequest, method: str | None, status: int) -> tuple[str, ...]:
    """Return method, path, status, view, scheme and extra labels of a request."""
    match = request.resolver_match
    facts = (
        method_name(method),
        UNMATCHED if match is None else route_template(match.route, _language(request)),
        str(int(status)),
        UNMATCHED if match is None else match.view_name,
        request.scheme or "",
    )
    dotted_paths = config().request_labels.values()
    if not dotted_paths:
        return facts
    return (*facts, *(_extra_label(path, request) for path in dotted_paths))


def content_length(header: object) -> float:
    """Return the length a ``Content-Length`` header gives, or ``UNKNOWN``.

    Only ASCII digits are a length (RFC 9110, section 8.6): Python's ``int`` would
    also take signs, underscores and the digits of other scripts.
    """
    if isinstance(header, (str, int)) and _LENGTH.fullmatch(str(header)):
        return int(header)
    return UNKNOWN


def _extra_label(dotted_path: str, request: HttpRequest) -> str:
    try:
        value = import_string(dotted_path)(request)
        return "" if value is None else str(value)
    except Exception as error:
        METRICS.fault("extra_label", error, dotted_path)
        return ""


def _language(request: HttpRequest) -> str:
    language = getattr(request, "LANGUAGE_CODE", "")
    if not language:
        return ""
    is_used, _ = is_language_prefix_patterns_used(getattr(request, "urlconf", root_urlconf()))
    return language if is_used else ""


def _is_file(response: StreamingHttpResponse) -> bool:
    return isinstance(response, FileResponse) and response.file_to_stream is not None


def _is_bodiless(status: int) -> bool:
    return status < 200 or status in (204, 304)
