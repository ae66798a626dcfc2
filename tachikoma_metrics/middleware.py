"""The middleware that measures every request; it belongs first in ``MIDDLEWARE``.

Native in sync and async: a request takes no extra thread hop under either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tachikoma_metrics.conf import config
from tachikoma_metrics.measurement import Measurement, dropped, settle
from tachikoma_metrics.page import respond, respond_in_thread


class Kind(Enum):
    """What the middleware does with a request."""

    SCRAPE = "answers it with the page"
    MEASURED = "measures it"
    UNMEASURED = "lets it pass"


SCRAPE, MEASURED, UNMEASURED = Kind


class MetricsMiddleware:
    """Measure each request and answer scrapes of ``PATH``.

    Everything but ``PATH`` gets the response it would get without the middleware,
    to the byte, and the exceptions it would get pass through.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Return the response, or an awaitable of it under ASGI."""
        if self.is_async:
            return self._answer(request)
        kind = kind_of(request)
        if kind is not MEASURED:
            return respond(request) if kind is SCRAPE else self.get_response(request)
        measurement = Measurement(request)
        try:
            response = self.get_response(request)
        except BaseException as error:
            measurement.break_off(error)
            raise
        return measurement.follow(response)

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        kind = kind_of(request)
        if kind is SCRAPE:
            return await sync_to_async(respond_in_thread, thread_sensitive=False)(request)
        if kind is UNMEASURED:
            return await self.get_response(request)  # type: ignore[no-any-return]
        measurement = Measurement(request)
        try:
            response = await self.get_response(request)
        except BaseException as error:
            measurement.break_off(error)
            raise
        return measurement.follow(response)


def kind_of(request: HttpRequest) -> Kind:
    """Return what is to be done with ``request``, as the settings have it."""
    settings = config()
    if not settings.enabled:
        return UNMEASURED
    if dropped:
        settle()
    path = request.path_info
    if path == settings.path:
        return SCRAPE
    if settings.exclude_paths and settings.excludes(path):
        return UNMEASURED
    return MEASURED
