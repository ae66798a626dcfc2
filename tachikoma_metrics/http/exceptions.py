"""Exceptions of requests, once each, whether Django or a middleware answers them.

Django sends ``got_request_exception`` before it answers with 500. It sends the signal again for
each middleware that raises while it handles the same request, and not at all if the
``process_exception`` of a middleware returns a response: the method that calls those is replaced.
Neither is called for a request without an exception.

https://docs.djangoproject.com/en/stable/ref/signals/#got-request-exception
"""

from __future__ import annotations

import sys
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.core.handlers.base import BaseHandler
from django.core.signals import got_request_exception
from django.http import Http404, HttpRequest
from django.http.multipartparser import MultiPartParserError

from tachikoma_metrics.catalogue.labels import UNMATCHED
from tachikoma_metrics.http.current_request import current
from tachikoma_metrics.http.request_labels import language_prefix
from tachikoma_metrics.recording.events import HTTP_EXCEPTION
from tachikoma_metrics.recording.subclasses import imitating
from tachikoma_metrics.registry import METRICS

_ONE = (1.0,)
_ANSWERED_WITH_4XX = (
    BadRequest,
    Http404,
    MultiPartParserError,
    PermissionDenied,
    SuspiciousOperation,
)
_handlers: Any = BaseHandler
_original = _handlers.process_exception_by_middleware


def install() -> None:
    """Count the exceptions of the requests that are measured; idempotent."""
    got_request_exception.connect(_on_exception, dispatch_uid=__name__)
    if _handlers.process_exception_by_middleware is _original:
        _handlers.process_exception_by_middleware = imitating(_process_exception, _original)


def _process_exception(handler: BaseHandler, exception: Exception, request: HttpRequest) -> Any:
    response = _original(handler, exception, request)
    if response is not None and not isinstance(exception, _ANSWERED_WITH_4XX):
        _record(exception, request)
    return response


def _on_exception(*, request: HttpRequest, **_: Any) -> None:
    # Django sends the signal where it handles the exception, if need be in another thread, to
    # which asgiref passes it.
    error = sys.exc_info()[1]
    if isinstance(error, Exception):
        _record(error, request)


def _record(exception: Exception, request: HttpRequest) -> None:
    """Count the first exception of the current request, if that is measured. Never raises."""
    try:
        measurement = current.get()
        if measurement is None or measurement.is_over or measurement.has_failed:
            return
        measurement.has_failed = True
        match = request.resolver_match
        route, view = (None, UNMATCHED) if match is None else (match.route, match.view_name)
        facts = (type(exception).__name__, route, view, language_prefix(request))
        HTTP_EXCEPTION.record_valid(facts, _ONE)
    except Exception as error:
        METRICS.count_error("http", error)
