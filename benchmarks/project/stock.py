"""A middleware as one would write it by hand for prometheus_client.

It records the families that ``MetricsMiddleware`` records, with their labels and
buckets, and remembers which series belong to a request. It leaves out what makes the
difference to a finished one: streams, clients that left, limits, faults.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.http import HttpRequest, HttpResponse
from prometheus_client import Counter, Gauge, Histogram

from tachikoma_metrics.catalogue import LATENCY_BUCKETS, SIZE_BUCKETS

_ROUTE = ("method", "path")
_REQUESTS = Counter("http_requests", "HTTP requests answered.", (*_ROUTE, "status"))
_DURATION = Histogram("http_request_duration_seconds", "Seconds.", _ROUTE, buckets=LATENCY_BUCKETS)
_REQUEST_SIZE = Histogram("http_request_size_bytes", "Bytes.", _ROUTE, buckets=SIZE_BUCKETS)
_RESPONSE_SIZE = Histogram("http_response_size_bytes", "Bytes.", _ROUTE, buckets=SIZE_BUCKETS)
_IN_FLIGHT = Gauge("http_requests_in_flight", "Under way.", multiprocess_mode="livesum")


class Series(NamedTuple):
    """The series that one kind of request changes."""

    requests: Counter
    duration: Histogram
    request_size: Histogram
    response_size: Histogram


_remembered: dict[tuple[str, str, int], Series] = {}


class StockMiddleware:
    """Measure each request; native in sync and async."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponse | Awaitable[HttpResponse]:
        """Return the response, or an awaitable of it under ASGI."""
        if self.is_async:
            return self._answer(request)
        started_at = time.perf_counter()
        with _IN_FLIGHT.track_inprogress():
            response: HttpResponse = self.get_response(request)
        record(request, response, time.perf_counter() - started_at)
        return response

    async def _answer(self, request: HttpRequest) -> HttpResponse:
        started_at = time.perf_counter()
        with _IN_FLIGHT.track_inprogress():
            response: HttpResponse = await self.get_response(request)
        record(request, response, time.perf_counter() - started_at)
        return response


def record(request: HttpRequest, response: HttpResponse, seconds: float) -> None:
    """Record one request in all families."""
    match = request.resolver_match
    route = "" if match is None else match.route
    facts = (request.method or "", route, response.status_code)
    series = _remembered.get(facts) or _remember(*facts)
    series.requests.inc()
    series.duration.observe(seconds)
    length = request.META.get("CONTENT_LENGTH")
    if length:
        series.request_size.observe(int(length))
    series.response_size.observe(len(response.content))


def _remember(method: str, route: str, status: int) -> Series:
    path = f"/{route}"
    series = Series(
        _REQUESTS.labels(method, path, str(status)),
        _DURATION.labels(method, path),
        _REQUEST_SIZE.labels(method, path),
        _RESPONSE_SIZE.labels(method, path),
    )
    _remembered[method, route, status] = series
    return series
