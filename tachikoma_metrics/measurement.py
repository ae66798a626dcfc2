"""One HTTP request being measured: begun once, ended once, whatever happens."""

from __future__ import annotations

import asyncio
import re
import time
from types import TracebackType
from typing import Any

from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from tachikoma_metrics.conf import config, root_urlconf
from tachikoma_metrics.labels import UNMATCHED, method_name, route_template
from tachikoma_metrics.recorders import record_http_request
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.streams import MeasuredAsyncStream, MeasuredStream

CLIENT_LEFT = 499
"""The status of a request whose client left before the answer was complete.

nginx's: https://nginx.org/en/docs/dev/development_guide.html#http_response
"""

_ATTRIBUTE = "_tachikoma_metrics_measurement"
_LENGTH = re.compile(r"[0-9]{1,18}", re.ASCII)


class Measurement:
    """Measure the request in whose ``with`` block it stands.

    Ends when the body of the answer is complete, is closed, or when the block is
    left by an exception: then in-flight goes down and the request is recorded.
    """

    def __init__(self, request: HttpRequest) -> None:
        self._request = request
        self._is_over = False
        self._facts: tuple[str, ...] = ()
        self._status = 0
        self._is_bodiless = False
        self._sent = 0
        self._first_byte_at: float | None = None
        self._in_flight = METRICS.http_requests_in_flight
        self._started_at = time.perf_counter()
        setattr(request, _ATTRIBUTE, self)

    def __enter__(self) -> Measurement:
        self._in_flight.inc()
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
        try:
            self._status = response.status_code
            self._is_bodiless = self._request.method == "HEAD" or _is_bodiless(self._status)
            if isinstance(response, StreamingHttpResponse):
                self._facts = self._read_facts()
                self._follow_stream(response)
            elif not self._is_over:
                self.end(len(response.content) if isinstance(response, HttpResponse) else None)
        except Exception as error:
            METRICS.fault("http", error)
            self.end(None)
        return response

    def pass_chunk(self, size: int) -> None:
        """Take note of ``size`` bytes of a streamed body that are on their way."""
        if self._first_byte_at is None:
            self._first_byte_at = time.perf_counter()
        self._sent += size

    def complete(self) -> None:
        """End with a streamed body that was sent to its end."""
        self.end(self._sent)

    def close(self) -> None:
        """End with a streamed body that nobody asks for any more.

        Unless there is none to send, the client has left.
        """
        if not self._is_over and not self._is_bodiless:
            self._change_status(CLIENT_LEFT)
        self.end(self._sent)

    def break_off(self, error: BaseException) -> None:
        """End with an exception: of a cancelled request, or of the app's own."""
        is_cancelled = isinstance(error, (asyncio.CancelledError, GeneratorExit))
        self._change_status(CLIENT_LEFT if is_cancelled else 500)
        self.end(self._sent if self._first_byte_at is not None else None)

    def discard(self) -> None:
        """End without a record."""
        if not self._is_over:
            self._is_over = True
            self._in_flight.dec()

    def end(self, response_bytes: int | None) -> None:
        """Record the request, once."""
        if self._is_over:
            return
        self._is_over = True
        ended_at = time.perf_counter()
        self._in_flight.dec()
        try:
            record_http_request(
                self._facts or self._read_facts(),
                ended_at - self._started_at,
                request_bytes=content_length(self._request.META.get("CONTENT_LENGTH")),
                response_bytes=response_bytes,
                first_byte_seconds=(self._first_byte_at or ended_at) - self._started_at,
            )
        except Exception as error:
            METRICS.fault("http", error)

    def _follow_stream(self, response: StreamingHttpResponse) -> None:
        if _is_sent_by_server(response, self._request):
            # The server reads the file itself and closes the response afterwards;
            # wrapping the body would take this way from it.
            self._sent = content_length(response.headers.get("Content-Length")) or 0
            self._is_bodiless = True
            response._resource_closers.append(self.close)  # type: ignore[attr-defined]
            return
        chunks: Any = response.streaming_content
        stream = MeasuredAsyncStream if response.is_async else MeasuredStream
        response.streaming_content = stream(chunks, self)

    def _read_facts(self) -> tuple[str, ...]:
        return facts_of(self._request, self._status)

    def _change_status(self, status: int) -> None:
        self._status = status
        if self._facts:
            self._facts = (*self._facts[:2], str(status), *self._facts[3:])


def discard(request: HttpRequest) -> None:
    """Leave ``request`` unmeasured, if it is being measured."""
    measurement: Measurement | None = getattr(request, _ATTRIBUTE, None)
    if measurement is not None:
        measurement.discard()


def facts_of(request: HttpRequest, status: int) -> tuple[str, ...]:
    """Return method, path, status, view, scheme and extra labels of a request."""
    match = request.resolver_match
    return (
        method_name(request.method),
        UNMATCHED if match is None else route_template(match.route, _language(request)),
        str(status),
        UNMATCHED if match is None else match.view_name,
        request.scheme or "",
        *(_extra_label(dotted_path, request) for dotted_path in config().extra_labels.values()),
    )


def content_length(header: str | None) -> int | None:
    """Return the length a ``Content-Length`` header gives, or None if it gives none.

    Only ASCII digits are a length (RFC 9110, section 8.6): Python's ``int`` would
    also take signs, underscores and the digits of other scripts.
    """
    if header is not None and _LENGTH.fullmatch(header):
        return int(header)
    return None


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


def _is_bodiless(status: int) -> bool:
    return status < 200 or status in (204, 304)


def _is_sent_by_server(response: StreamingHttpResponse, request: HttpRequest) -> bool:
    is_file = isinstance(response, FileResponse) and response.file_to_stream is not None
    return is_file and "wsgi.file_wrapper" in request.META
