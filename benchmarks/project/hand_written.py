"""A minimal hand-written middleware for prometheus_client.

It records the metrics that ``MetricsMiddleware`` records, with their labels and buckets, and caches
the time series of a request. It does not handle streams, disconnects, limits and errors.
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
    """The time series that one kind of request changes."""

    requests: Counter
    duration: Histogram
    request_size: Histogram
    response_size: Histogram


_series_by_facts: dict[tuple[str, str, int], Series] = {}


class HandWrittenMiddleware:
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
    """Record one request in all metrics."""
    match = request.resolver_match
    route = "" if match is None else match.route
    facts = (request.method or "", route, response.status_code)
    series = _series_by_facts.get(facts) or _find(*facts)
    series.requests.inc()
    series.duration.observe(seconds)
    length = request.META.get("CONTENT_LENGTH")
    if length:
        series.request_size.observe(int(length))
    series.response_size.observe(len(response.content))


def _find(method: str, route: str, status: int) -> Series:
    path = f"/{route}"
    series = Series(
        _REQUESTS.labels(method, path, str(status)),
        _DURATION.labels(method, path),
        _REQUEST_SIZE.labels(method, path),
        _RESPONSE_SIZE.labels(method, path),
    )
    _series_by_facts[method, route, status] = series
    return series
