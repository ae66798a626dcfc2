"""One HTTP request to a backend: begun, ended once, with how it failed if it did.

https://opentelemetry.io/docs/specs/semconv/http/http-metrics/#http-client
"""

from __future__ import annotations

from time import perf_counter

from tachikoma_metrics.http.dropped_bodies import dropped, finish_dropped
from tachikoma_metrics.recording import abandoned
from tachikoma_metrics.recording.error_types import error_of, error_of_status
from tachikoma_metrics.recording.recorders import BACKEND_REQUEST, record_backend_error
from tachikoma_metrics.recording.tracked_block import TrackedBlock
from tachikoma_metrics.registry import METRICS, Progress


class Attempt:
    """A request to a backend under way; none of its methods raises.

    It is recorded when its answer was read, or is read no further, or when it failed: as
    ``backend_requests_total``, ``backend_request_duration_seconds`` and, where it failed,
    as ``backend_errors_total``.
    """

    __slots__ = ("_dropped_at", "_error_type", "_facts", "_pending", "_progress", "_started_at")

    def __init__(self, backend: str, endpoint: str) -> None:
        # A worker has no requests of its own that would do it.
        if dropped:
            finish_dropped()
        self._facts = (backend, endpoint)
        self._error_type: str | None = None
        self._dropped_at: float | None = None
        self._pending = [True]
        self._progress = Progress()
        self._started_at = perf_counter()

    def start(self) -> None:
        """Count as in progress from now on."""
        BACKEND_REQUEST.begin(self._progress, self._started_at)

    def discard(self) -> None:
        """Be over without a record, unless it is over."""
        try:
            BACKEND_REQUEST.abandon(self._progress)
        except Exception as error:
            METRICS.count_error("backend", error)

    def answer(self, status: int) -> None:
        """Take note of the status of the answer; its body is still to come."""
        try:
            self._error_type = error_of_status(status)
        except Exception as error:
            METRICS.count_error("backend", error)

    def end(self, error: BaseException | None = None) -> None:
        """Record the request, once; ``error`` is what was raised instead of an answer."""
        try:
            if self._progress.is_inherited:
                return
            self._record()
            abandoned.forget(self)
            if self._is_last():
                self._record_error(error)
        except Exception as fault:
            METRICS.count_error("backend", fault)

    def _is_last(self) -> bool:
        try:
            # Popping is atomic: of two that end it, one counts how.
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
        """End with an answer that nobody reads on."""
        self.end()

    def drop(self) -> None:
        """End, a little later, with an answer that was neither read nor closed.

        Called while anything may be under way, even where the very lock is held that
        recording needs: the next request does it, or the next scrape.
        """
        if self._pending and self._dropped_at is None:
            self._dropped_at = perf_counter()
            dropped.append(self)


class track_backend_request(TrackedBlock[Attempt]):  # Reads as what it does.
    """Measure a request to a backend: a ``with`` or ``async with`` block, or a function.

    For clients that ``instrument_client`` does not know. ``endpoint`` is the API operation;
    keep it to a few values. What the block raises is counted in ``backend_errors_total`` by
    its kind and passes through. Nothing is counted twice, unless the client is instrumented
    as well::

        with track_backend_request("search", "/v1/query"):
            answer = client.query(...)
    """

    source = "backend"

    def __init__(self, backend: str, endpoint: str) -> None:
        super().__init__()
        self._backend = backend
        self._endpoint = endpoint

    def begin(self) -> Attempt:
        """Return the request, which begins now."""
        return Attempt(self._backend, self._endpoint)

    def end(self, begun: Attempt, error: BaseException | None) -> None:
        """Record the request."""
        begun.end(error)
