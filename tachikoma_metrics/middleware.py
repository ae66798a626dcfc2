"""The middleware that measures every request; it belongs first in ``MIDDLEWARE``.

Native in sync and async: a request takes no extra thread hop under either.

https://docs.djangoproject.com/en/stable/topics/http/middleware/#asynchronous-support
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.exceptions import ImproperlyConfigured, MiddlewareNotUsed
from django.http import HttpRequest, UnreadablePostError
from django.http.response import HttpResponseBase

from tachikoma_metrics.conf import config, is_installed, is_test_run
from tachikoma_metrics.http.measurement import (
    Measurement,
    dropped,
    finish_dropped,
    lose_client_of_current,
)
from tachikoma_metrics.page.response import refuse, respond, respond_in_thread
from tachikoma_metrics.registry import METRICS


class Scrape(Enum):
    """Stands for a request that is answered with the page."""

    SCRAPE = "scrape"


SCRAPE = Scrape.SCRAPE


class MetricsMiddleware:
    """Measure each request and answer scrapes of ``PATH``. Belongs first in ``MIDDLEWARE``.

    Everything but ``PATH`` gets the response it would get without the middleware,
    to the byte, and the exceptions it would get pass through.

    Raises ``MiddlewareNotUsed`` where ``ENABLED`` is False, so that Django leaves it out for
    as long as the process lives. In a test run it stays, for a test may switch it on.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        if _is_left_out():
            raise MiddlewareNotUsed("ENABLED is False in TACHIKOMA_METRICS.")
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        tell_what_is_wrong()

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Return the response, or an awaitable of it under ASGI."""
        if self.is_async:
            return self._answer(request)
        measurement = begin(request)
        if measurement is None:
            return self.get_response(request)  # type: ignore[no-any-return]
        if measurement is SCRAPE:
            return respond(request)
        try:
            try:
                measurement.start()
                return measurement.follow(self.get_response(request))
            except BaseException as error:
                measurement.break_off(error)
                raise
        except BaseException:
            # An exception from outside may come where another is handled.
            measurement.discard()
            raise

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Take note of an upload that broke off, to which Django answers 500."""
        if isinstance(exception, UnreadablePostError):
            lose_client_of_current()

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        measurement = begin(request)
        if measurement is None:
            return await self.get_response(request)  # type: ignore[no-any-return]
        if measurement is SCRAPE:
            refused = refuse(request)
            if refused is not None:
                return refused
            return await sync_to_async(respond_in_thread, thread_sensitive=False)(request)
        try:
            try:
                measurement.start()
                return measurement.follow(await self.get_response(request))
            except BaseException as error:
                measurement.break_off(error)
                raise
        except BaseException:
            # An exception from outside may come where another is handled.
            measurement.discard()
            raise


def _is_left_out() -> bool:
    try:
        return not config().enabled and not is_test_run()
    except Exception as error:
        METRICS.count_error("http", error)
        return False


def tell_what_is_wrong() -> None:
    """Log what is wrong with the settings, where a process begins to serve. Never raises."""
    try:
        if not is_installed():
            error = ImproperlyConfigured(
                '`INSTALLED_APPS` should have "tachikoma_metrics", with an underscore. Without it '
                "databases, caches and business metrics are not measured, and there are no checks "
                "and commands"
            )
            METRICS.count_error("settings", error, is_expected=True)
        METRICS.begin_serving()
    except Exception as error:
        METRICS.count_error("settings", error)


def begin(request: HttpRequest) -> Measurement | Scrape | None:
    """Return the measurement of ``request``, unless it is a scrape or is to pass unmeasured.

    Never raises.
    """
    try:
        settings = config()
        if not settings.enabled:
            return None
        if dropped:
            finish_dropped()
        path = request.path_info
        if path == settings.path:
            return SCRAPE
        if settings.exclude_paths and settings.excludes(path):
            return None
        return Measurement(request, settings)
    except Exception as error:
        METRICS.count_error("http", error)
        return None
