"""The page as a response of Django's."""

from __future__ import annotations

import gzip
from http import HTTPStatus

from django.core.exceptions import SuspiciousOperation
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from tachikoma_metrics.conf import config
from tachikoma_metrics.exposition import TEXT, Format, accepts_gzip, choose_format
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.page import access
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.store import Incomplete

# Level 9, the default, would take longer than gathering and rendering do.
_COMPRESSION_LEVEL = 1

_METHODS = ("GET", "HEAD")
_SECONDS_UNTIL_THE_NEXT_TRY = "1"
ON_EVERY_ANSWER = {
    # Django's cache middleware knows "no-store" only since 5.2.15, "private" always.
    "Cache-Control": "private, no-store",
    # For a browser that a foreign page leads here.
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


def respond(request: HttpRequest) -> HttpResponseBase:
    """Answer a scrape: GET and HEAD only, 404 where nothing is measured, and who may.

    503 if the values of some process cannot be read just now, for Prometheus keeps what it has
    for five minutes, and takes a total that falls for a restart.

    Text 0.0.4 unless OpenMetrics is asked for, compressed if the scraper accepts
    gzip; ``?name[]=`` keeps the families and samples so named, as prometheus_client's page does:
    https://prometheus.github.io/client_python/restricted-registry/
    """
    try:
        return _answer(request)
    except Exception as error:
        METRICS.count_error("page", error)
        return _text("The page could not be made; the log says why.\n", 500)


def refuse(request: HttpRequest) -> HttpResponseBase | None:
    """Return the answer to a request that may not be served, as far as that is known at once.

    Nothing is asked that may block: this may be called on an event loop, and a thread be kept
    for those who may read. Never raises.
    """
    try:
        if not config().enabled:
            return None
        if request.method not in _METHODS:
            return _not_allowed()
        refused = access.refusal_at_first_sight(request)
        return None if refused is None else _refused(refused, request)
    except Exception as error:
        METRICS.count_error("page", error)
        return None


def respond_in_thread(request: HttpRequest) -> HttpResponseBase:
    """Answer as ``respond`` does, in a thread that no request of the app's shares.

    A collector of the project's may ask the database; what its connection would
    otherwise wait for, the end of a request, never comes in this thread.
    """
    try:
        return respond(request)
    finally:
        close_old_connections()


def _answer(request: HttpRequest) -> HttpResponse:
    if not config().enabled:
        return _text("Metrics are disabled: `ENABLED` is False.\n", 404)
    if request.method not in _METHODS:
        return _not_allowed()
    refused = access.refusal(request)
    if refused is not None:
        return _refused(refused, request)
    try:
        names = frozenset(request.GET.getlist("name[]"))
    except SuspiciousOperation:
        return _text("There are too many parameters.\n", 400)
    try:
        return _page(_format(request), names, request.headers.get("Accept-Encoding", ""))
    except Incomplete as error:
        return _incomplete(error)
    except Exception as error:
        METRICS.count_error("page", error)
        page = METRICS.last_resort(TEXT)
        return HttpResponse(page, content_type=TEXT.content_type, headers=ON_EVERY_ANSWER)


def _not_allowed() -> HttpResponse:
    response = _text("Method not allowed: use GET or HEAD.\n", 405)
    response.headers["Allow"] = ", ".join(_METHODS)
    return response


def _refused(refused: access.Refusal, request: HttpRequest) -> HttpResponse:
    access.record_refusal(refused, request.META.get("REMOTE_ADDR") or "")
    phrase = HTTPStatus(refused.status).phrase
    response = _text(f"{phrase}: {refused.reason}\n", refused.status)
    if refused.challenge:
        response.headers["WWW-Authenticate"] = refused.challenge
    return response


def _incomplete(error: Incomplete) -> HttpResponse:
    response = _text(f"Service Unavailable: {error}\n", 503)
    response.headers["Retry-After"] = _SECONDS_UNTIL_THE_NEXT_TRY
    return response


def _text(body: str, status: int) -> HttpResponse:
    content_type = "text/plain; charset=utf-8"
    return HttpResponse(body, status=status, content_type=content_type, headers=ON_EVERY_ANSWER)


def _format(request: HttpRequest) -> Format:
    try:
        return choose_format(request.accepted_types)
    except ValueError as error:
        pass_on(error)
        # Django's parser raises for what is no header at all.
        return TEXT


def _page(format: Format, names: frozenset[str], accept_encoding: str) -> HttpResponse:
    page = METRICS.expose(format, names).encode()
    headers = {**ON_EVERY_ANSWER, "Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(accept_encoding):
        page = gzip.compress(page, _COMPRESSION_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(page))
    return HttpResponse(page, content_type=format.content_type, headers=headers)
