"""The measurement of a request whose trace may become an exemplar."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from django.http import StreamingHttpResponse

from tachikoma_metrics import tracing
from tachikoma_metrics.http.current_request import current
from tachikoma_metrics.http.measurement import Measurement
from tachikoma_metrics.registry import METRICS

_SECONDS_BETWEEN_STREAMS = 0.1
_next_stream_at = 0.0

_NOTHING: Mapping[str, Any] = {}


class TracedMeasurement(Measurement):
    """Measure a request, and know its ``traceparent``.

    ``meta`` has the headers of the request. ``exemplar_labels`` is not set, unless the trace was
    looked for before the end, as for a stream: when its last byte is sent, its span has ended.
    """

    __slots__ = ("exemplar_labels", "meta")

    meta: Mapping[str, Any]
    exemplar_labels: tracing.Labels

    def _follow_stream(self, response: StreamingHttpResponse) -> None:
        global _next_stream_at
        super()._follow_stream(response)
        labels = None
        now = perf_counter()
        # In which bucket it will be is not known yet.
        if now >= _next_stream_at:
            _next_stream_at = now + _SECONDS_BETWEEN_STREAMS
            try:
                labels = tracing.labels(self)
            except Exception as error:
                METRICS.count_error("exemplar", error)
        self.exemplar_labels = labels or {}
        # A stream may go on for hours.
        self.meta = _NOTHING


def _traceparent(measured: object) -> str | None:
    """Return the header of the request itself, or of the one within which it was measured."""
    request = measured if isinstance(measured, TracedMeasurement) else current.get()
    if not isinstance(request, TracedMeasurement):
        return None
    header = request.meta.get("HTTP_TRACEPARENT")
    return header if isinstance(header, str) else None


tracing.find_traceparent = _traceparent
