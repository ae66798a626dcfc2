"""The middleware that measures every request; it belongs first in ``MIDDLEWARE``.

Native in sync and async: a request takes no extra thread hop under either.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from tachikoma_metrics.conf import config
from tachikoma_metrics.measurement import Measurement
from tachikoma_metrics.page import respond

respond_in_thread = sync_to_async(respond, thread_sensitive=False)


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
        if is_scrape(request):
            return respond(request)
        if not is_measured(request):
            return self.get_response(request)  # type: ignore[no-any-return]
        with Measurement(request) as measurement:
            return measurement.follow(self.get_response(request))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        if is_scrape(request):
            return await respond_in_thread(request)
        if not is_measured(request):
            return await self.get_response(request)  # type: ignore[no-any-return]
        with Measurement(request) as measurement:
            return measurement.follow(await self.get_response(request))


def is_scrape(request: HttpRequest) -> bool:
    """Tell whether the middleware itself answers ``request``."""
    return config().enabled and request.path_info == config().path


def is_measured(request: HttpRequest) -> bool:
    """Tell whether the settings have ``request`` measured."""
    excluded = config().exclude_paths
    return config().enabled and not any(pattern.search(request.path_info) for pattern in excluded)
