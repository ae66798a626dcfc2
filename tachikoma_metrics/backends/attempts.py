"""Attempts: single HTTP requests to an upstream API, each recorded once when it ends.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#http-client
"""

from __future__ import annotations

from time import perf_counter

from tachikoma_metrics import catalogue
from tachikoma_metrics.http.dropped_bodies import dropped, finish_dropped
from tachikoma_metrics.recording import abandoned
from tachikoma_metrics.recording.error_types import error_of, error_of_status
from tachikoma_metrics.recording.events import BACKEND_ERROR, BACKEND_REQUEST
from tachikoma_metrics.recording.recorders import record_backend_error
from tachikoma_metrics.recording.tracked_block import TrackedBlock
from tachikoma_metrics.registry import METRICS, Progress


class Attempt:
    """A request in progress; none of its methods raises.

    It is recorded when its response body was read or closed, or when it failed: in
    ``backend_requests_total``, ``backend_request_duration_seconds`` and, if it failed,
    ``backend_errors_total``.
    """

    __slots__ = ("_dropped_at", "_error_type", "_facts", "_pending", "_progress", "_started_at")

    def __init__(self, backend: str, endpoint: str) -> None:
        # A process that serves no HTTP requests has nothing else that finishes them.
        if dropped:
            finish_dropped()
        self._facts = (backend, endpoint)
        self._error_type: str | None = None
        self._dropped_at: float | None = None
        self._pending = [True]
        self._progress = Progress()
        self._started_at = perf_counter()

    def start(self) -> None:
        """Count the attempt as in progress."""
        BACKEND_REQUEST.begin(self._progress, self._started_at)
        try:
            BACKEND_ERROR.initialize(self._facts[:1])
        except Exception as error:
            METRICS.count_error("backend", error)

    def discard(self) -> None:
        """Drop the attempt without a record, unless it has ended."""
        try:
            BACKEND_REQUEST.abandon(self._progress)
        except Exception as error:
            METRICS.count_error("backend", error)

    def answer(self, status: int) -> None:
        """Note the status of the response, whose body may follow."""
        try:
            self._error_type = error_of_status(status)
        except Exception as error:
            METRICS.count_error("backend", error)

    def end(self, error: BaseException | None = None) -> None:
        """Record the attempt, once; ``error`` is the exception that was raised, if any."""
        try:
            if self._progress.is_inherited:
                return
            self._record()
            abandoned.forget(self)
            if self._is_last():
                self._record_error(error)
        except Exception as own_error:
            METRICS.count_error("backend", own_error)

    def _is_last(self) -> bool:
        try:
            # pop() is atomic: of two threads that end the attempt, one records the error.
            return self._pending.pop()
        except IndexError:
            return False

    def _record_error(self, error: BaseException | None) -> None:
        error_type = self._error_type or (None if error is None else error_of(error))
        if error_type is not None:
            record_backend_error(self._facts[0], error_type)

    def _record(self) -> None:
        now = perf_counter()
        seconds = (self._dropped_at or now) - self._started_at
        BACKEND_REQUEST.record_valid(self._facts, (1.0, seconds), self._progress, now)

    def close(self) -> None:
        """End the attempt when its response body is closed."""
        self.end()

    def drop(self) -> None:
        """Schedule the end of an attempt whose response body was garbage-collected.

        Garbage collection may run in any code, even while the thread holds the lock that
        recording needs. The next request or scrape records the attempt.
        """
        if self._pending and self._dropped_at is None:
            self._dropped_at = perf_counter()
            dropped.append(self)


class track_backend_request(TrackedBlock[Attempt]):  # Lower case: it is used as a context manager.
    """Measure a request to an upstream API: a ``with`` or ``async with`` block, or a function.

    For clients that ``instrument_client`` does not support. ``endpoint`` is the API operation;
    keep it to a few values. An exception that the block raises is counted in
    ``backend_errors_total`` by its type and passes through. Do not use it with an instrumented
    client, whose requests would be counted twice::

        with track_backend_request("search", "/v1/query"):
            answer = client.query(...)
    """

    source = "backend"
    families = catalogue.RECORDED_BY_BACKENDS

    def __init__(self, backend: str, endpoint: str) -> None:
        super().__init__()
        self._backend = backend
        self._endpoint = endpoint

    def begin(self) -> Attempt:
        """Return a new attempt."""
        return Attempt(self._backend, self._endpoint)

    def end(self, begun: Attempt, error: BaseException | None) -> None:
        """Record the attempt."""
        begun.end(error)
