"""The page as a response of Django's."""

from __future__ import annotations

import gzip

from django.http import (
    HttpRequest,
    HttpResponse,
    HttpResponseBase,
    HttpResponseNotAllowed,
    HttpResponseNotFound,
)

from tachikoma_metrics.conf import config
from tachikoma_metrics.exposition import accepts_gzip, choose_format
from tachikoma_metrics.registry import METRICS

# Level 9, the default, would take longer than gathering and rendering do.
_COMPRESSION_LEVEL = 1


def respond(request: HttpRequest) -> HttpResponseBase:
    """Answer a scrape: GET and HEAD only, 404 where nothing is measured.

    Text 0.0.4 unless OpenMetrics is asked for, compressed if the scraper accepts
    gzip; ``?name[]=`` keeps the families and samples so named.
    """
    if not config().enabled:
        return HttpResponseNotFound("Metrics are disabled: `ENABLED` is False.\n")
    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    format = choose_format(request.accepted_types)
    page = METRICS.page(format, frozenset(request.GET.getlist("name[]"))).encode()
    return _response(page, format.content_type, request.headers.get("Accept-Encoding", ""))


def _response(page: bytes, content_type: str, accept_encoding: str) -> HttpResponse:
    headers = {"Cache-Control": "no-store", "Vary": "Accept, Accept-Encoding"}
    if accepts_gzip(accept_encoding):
        page = gzip.compress(page, _COMPRESSION_LEVEL, mtime=0)
        headers["Content-Encoding"] = "gzip"
    headers["Content-Length"] = str(len(page))
    return HttpResponse(page, content_type=content_type, headers=headers)
