"""The page as a response of Django's."""

from __future__ import annotations

import gzip

from django.core.exceptions import SuspiciousOperation
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from tachikoma_metrics import access
from tachikoma_metrics.conf import config
from tachikoma_metrics.exposition import TEXT, Format, accepts_gzip, choose_format
from tachikoma_metrics.interruptions import pass_on
from tachikoma_metrics.registry import METRICS

# Level 9, the default, would take longer than gathering and rendering do.
_COMPRESSION_LEVEL = 1


def respond(request: HttpRequest) -> HttpResponseBase:
    """Answer a scrape: GET and HEAD only, 404 where nothing is measured, and who may.

    Text 0.0.4 unless OpenMetrics is asked for, compressed if the scraper accepts
    gzip; ``?name[]=`` keeps the families and samples so named, as prometheus_client's page does:
    https://prometheus.github.io/client_python/restricted-registry/
    """
    try:
        response = _answer(request)
    except Exception as error:
        METRICS.fault("page", error)
        response = _text("The page could not be made; the log says why.\n", 500)
    response.headers["Cache-Control"] = "no-store"
    return response


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
    if request.method not in ("GET", "HEAD"):
        refusal = _text("The metrics page answers GET and HEAD.\n", 405)
        refusal.headers["Allow"] = "GET, HEAD"
        return refusal
    refused = access.refusal(request)
    if refused is not None:
        return _refused(refused)
    try:
        names = frozenset(request.GET.getlist("name[]"))
    except SuspiciousOperation:
        return _text("There are too many parameters.\n", 400)
    try:
        return _page(_format(request), names, request.headers.get("Accept-Encoding", ""))
    except Exception as error:
        METRICS.fault("page", error)
        return HttpResponse(METRICS.last_resort(TEXT), content_type=TEXT.content_type)


def _refused(refused: access.Refusal) -> HttpResponse:
    response = _text(f"{refused.reason}\n", refused.status)
    if refused.challenge:
        response.headers["WWW-Authenticate"] = refused.challenge
    return response


def _text(body: str, status: int) -> HttpResponse:
    return HttpResponse(body, status=status, content_type="text/plain; charset=utf-8")


def _format(request: HttpRequest) -> Format:
    try:
        return choose_format(request.accepted_types)
    except ValueError as error:
        pass_on(error)
        # Django's parser raises for what is no header at all.
        return TEXT


def _page(format: Format, names: frozenset[str], accept_encoding: str) -> HttpResponse:
    page = METRICS.page(format, names).encode()
    headers = {"Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(accept_encoding):
        page = gzip.compress(page, _COMPRESSION_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(page))
    return HttpResponse(page, content_type=format.content_type, headers=headers)
