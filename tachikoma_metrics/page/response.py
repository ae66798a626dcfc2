"""The response of the metrics endpoint."""

from __future__ import annotations

import gzip
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from tachikoma_metrics.conf import config
from tachikoma_metrics.exposition import TEXT, Format, accepts_gzip, choose_format
from tachikoma_metrics.page import access
from tachikoma_metrics.page.rejections import Rejection, record_rejection
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import Incomplete

# Level 9, the default, would take longer than gathering and rendering do.
_COMPRESSION_LEVEL = 1

_METHODS = ("GET", "HEAD")
_RETRY_AFTER_SECONDS = "1"
RESPONSE_HEADERS = {
    # Django's cache middleware knows "no-store" only since 5.2.15, "private" always.
    "Cache-Control": "private, no-store",
    # Against a web page of another origin that embeds this one.
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def respond(request: HttpRequest) -> HttpResponseBase:
    """Answer a scrape by GET or HEAD; 404 if ``ENABLED`` is False, 401 or 403 if access is denied.

    The response is 503 while the values of a process cannot be read: Prometheus keeps the last
    values for five minutes, but takes a total that falls for a restart.

    The format is text 0.0.4 unless the scraper prefers OpenMetrics or protobuf, compressed if it
    accepts gzip; ``?name[]=`` restricts it to these metrics and samples, as in prometheus_client:
    https://prometheus.github.io/client_python/restricted-registry/
    """
    try:
        return _answer(request)
    except Exception as error:
        METRICS.count_error("page", error)
        return _text("Internal Server Error: see the server log.\n", 500)


def reject(request: HttpRequest) -> HttpResponseBase | None:
    """Return the response to a request that can be rejected without blocking; None if it cannot.

    An event loop may call it, so that only requests with access need a thread. Never raises.
    """
    try:
        if not config().enabled:
            return None
        if request.method not in _METHODS:
            return _not_allowed()
        rejection = access.early_rejection(request)
        return None if rejection is None else _rejected(rejection, request)
    except Exception as error:
        METRICS.count_error("page", error)
        return None


def respond_in_thread(request: HttpRequest) -> HttpResponseBase:
    """Answer as ``respond`` does, in a thread that does not serve requests of the app.

    A custom collector may query the database. Django closes old connections at the end of a
    request, which this thread never reaches.
    """
    try:
        return respond(request)
    finally:
        close_old_connections()


def _answer(request: HttpRequest) -> HttpResponse:
    if not config().enabled:
        return _text("Not Found: metrics are disabled, as ENABLED is False.\n", 404)
    if request.method not in _METHODS:
        return _not_allowed()
    rejection = access.rejection(request)
    if rejection is not None:
        return _rejected(rejection, request)
    try:
        names = frozenset(request.GET.getlist("name[]"))
    except SuspiciousOperation:
        return _text("Bad Request: too many parameters.\n", 400)
    try:
        format = choose_format(request.headers.get("Accept", ""))
        return _exposition(format, names, request.headers.get("Accept-Encoding", ""))
    except Incomplete as error:
        return _incomplete(error)
    except Exception as error:
        METRICS.count_error("page", error)
        body = METRICS.last_resort(TEXT)
        return HttpResponse(body, content_type=TEXT.content_type, headers=RESPONSE_HEADERS)


def _not_allowed() -> HttpResponse:
    response = _text("Method Not Allowed: use GET or HEAD.\n", 405)
    response.headers["Allow"] = ", ".join(_METHODS)
    return response


def _rejected(rejection: Rejection, request: HttpRequest) -> HttpResponse:
    record_rejection(rejection, request.META.get("REMOTE_ADDR") or "")
    response = _text(rejection.body, rejection.status)
    if rejection.challenge:
        response.headers["WWW-Authenticate"] = rejection.challenge
    return response


def _incomplete(error: Incomplete) -> HttpResponse:
    response = _text(f"Service Unavailable: {error}\n", 503)
    response.headers["Retry-After"] = _RETRY_AFTER_SECONDS
    return response


def _text(body: str, status: int) -> HttpResponse:
    content_type = "text/plain; charset=utf-8"
    return HttpResponse(body, status=status, content_type=content_type, headers=RESPONSE_HEADERS)


def _exposition(format: Format[Any], names: frozenset[str], accept_encoding: str) -> HttpResponse:
    exposition: str | bytes = METRICS.expose(format, names)
    body = exposition if isinstance(exposition, bytes) else exposition.encode()
    headers = {**RESPONSE_HEADERS, "Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(accept_encoding):
        body = gzip.compress(body, _COMPRESSION_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(body))
    return HttpResponse(body, content_type=format.content_type, headers=headers)
