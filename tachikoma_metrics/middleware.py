"""The middleware that measures every request; it must be first in ``MIDDLEWARE``.

It is both sync and async: a request needs no extra thread hop under WSGI or ASGI.

https://docs.djangoproject.com/en/stable/topics/http/middleware/#asynchronous-support
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum
from types import MethodType
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.core.exceptions import MiddlewareNotUsed
from django.http import HttpRequest, UnreadablePostError
from django.http.response import HttpResponseBase

from tachikoma_metrics.conf import config, is_test_run
from tachikoma_metrics.http import exceptions
from tachikoma_metrics.http.current_request import client_disconnected
from tachikoma_metrics.http.dropped_bodies import dropped, finish_dropped
from tachikoma_metrics.http.measurement import Measurement
from tachikoma_metrics.http.queue_time import record_queue_time
from tachikoma_metrics.http.templates import count_template, count_template_async
from tachikoma_metrics.http.traced import TracedMeasurement
from tachikoma_metrics.page.response import reject, respond, respond_in_thread
from tachikoma_metrics.registry import METRICS
from tachikoma_metrics.runtime.event_loops import probe_serving_loop


class Scrape(Enum):
    """Stands for a request of the metrics endpoint, which is not measured."""

    SCRAPE = "scrape"


SCRAPE = Scrape.SCRAPE


class MetricsMiddleware:
    """Measure each request and answer scrapes of ``PATH``. Must be first in ``MIDDLEWARE``.

    A request of any other path gets the response it would get without the middleware, byte
    for byte, and exceptions pass through unchanged.

    Raises ``MiddlewareNotUsed`` if ``ENABLED`` is False, so that Django omits the middleware
    until the process ends. In a test run it stays, for a test may override ``ENABLED``.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        if _is_unused():
            raise MiddlewareNotUsed("ENABLED is False in TACHIKOMA_METRICS.")
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)
        exceptions.install()
        self._process_templates()
        report_setup_errors()

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
                measurement.fail(error)
                raise
        except BaseException:
            # A signal handler may raise while another exception is handled.
            measurement.discard()
            raise

    def _process_templates(self) -> None:
        # Django looks for the method now. Without it, it has nothing to call for each response.
        if config().counts_templates:
            count: Any = count_template_async if self.is_async else count_template
            self.process_template_response = MethodType(count, self)

    def process_exception(self, request: HttpRequest, exception: Exception) -> None:
        """Note an upload that broke off: Django answers it with 500."""
        if isinstance(exception, UnreadablePostError):
            client_disconnected()

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        measurement = begin(request)
        if measurement is None:
            return await self.get_response(request)  # type: ignore[no-any-return]
        if measurement is SCRAPE:
            rejection = reject(request)
            if rejection is not None:
                return rejection
            return await sync_to_async(respond_in_thread, thread_sensitive=False)(request)
        try:
            try:
                measurement.start()
                return measurement.follow(await self.get_response(request))
            except BaseException as error:
                measurement.fail(error)
                raise
        except BaseException:
            # A signal handler may raise while another exception is handled.
            measurement.discard()
            raise


def _is_unused() -> bool:
    try:
        return not config().enabled and not is_test_run()
    except Exception as error:
        METRICS.count_error("http", error)
        return False


def report_setup_errors() -> None:
    """Log errors of the settings when a process starts to serve. Never raises."""
    try:
        METRICS.begin_serving()
    except Exception as error:
        METRICS.count_error("settings", error)


def begin(request: HttpRequest) -> Measurement | Scrape | None:
    """Return a measurement of ``request``, ``SCRAPE``, or None if it is not measured.

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
        if settings.measures_more:
            if settings.measures_arrival:
                record_arrival(request)
            if settings.exemplars is not None:
                measurement = TracedMeasurement(request, settings)
                measurement.meta = request.META
                return measurement
        return Measurement(request, settings)
    except Exception as error:
        METRICS.count_error("http", error)
        return None


def record_arrival(request: HttpRequest) -> None:
    """Record what is measured before a request is handled, if it is on. Never raises."""
    record_queue_time(request)
    probe_serving_loop()
