"""One request to an OTLP receiver, by OpenTelemetry's exporter.

The exporter reads the variables with the endpoint, headers, certificates, timeout and compression,
and makes the request from them. Two things about it are other than in OpenTelemetry's own pipeline.
The body is made here: its data classes have no summaries, and cost several times as much. And each
request is sent once: by the time of a second attempt there are newer totals, and values are to be
sent once only under one time.
"""

from __future__ import annotations

import gzip
import logging
import zlib
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from time import monotonic, time
from typing import Any

import requests
from google.rpc.status_pb2 import Status
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.sdk.metrics.export import MetricsData

from tachikoma_metrics.interruptions import pass_on, suppress
from tachikoma_metrics.push import environment
from tachikoma_metrics.push.outcomes import (
    ERROR,
    PARTIAL,
    REJECTED,
    SUCCESS,
    THROTTLED,
    UNREACHABLE,
    Outcome,
)

_THROTTLING = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
_LONGEST_RETRY_AFTER = 300.0
_LONGEST_RESPONSE = 65536
_LONGEST_WAIT_FOR_BODY = 5.0
"""The status says what came of a push, and is there before the body."""
_MOST_CHARACTERS = 200

_COMPRESSIONS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": lambda body: gzip.compress(body, 1, mtime=0),
    "deflate": lambda body: zlib.compress(body, 1),
}


class Transport:
    """Send bodies to the receiver that the environment names.

    Raises ``ValueError``, or what the exporter raises, for an environment that it cannot use.
    """

    def __init__(self) -> None:
        self._session = _Session()
        self._exporter = OTLPMetricExporter(session=self._session)
        # Of an exporter that is closed, and so on: its outcome is logged here.
        logging.getLogger(OTLPMetricExporter.__module__).addFilter(_is_silent)

    def send(self, body: bytes) -> Outcome:
        """Send a request once; return what came of it. Raises no exception of the network."""
        self._session.body = body
        self._session.outcome = Outcome(UNREACHABLE, "no request was made")
        try:
            # The request that the exporter makes of nothing is given the body in `_Session`.
            self._exporter.export(MetricsData(resource_metrics=[]))
        finally:
            self._session.body = b""
        return self._session.outcome

    def close(self) -> None:
        """Close the connection."""
        self._session.close()


def _is_silent(record: logging.LogRecord) -> bool:
    return record.levelno < logging.WARNING


class _Session(requests.Session):
    """Send each request once, with another body, and keep what came of it.

    To the exporter every request succeeds: it neither repeats nor logs any.
    """

    body = b""
    outcome = Outcome(UNREACHABLE)

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send ``body`` in the place of what the request has."""
        compress = _COMPRESSIONS.get(str(request.headers.get("Content-Encoding", "")).lower())
        request.body = compress(self.body) if compress else self.body
        request.headers["Content-Length"] = str(len(request.body))
        # A redirect would lead to a GET; a body that does not end must not be waited for.
        longest = environment.LONGEST_TIMEOUT
        timeout = min(options.get("timeout") or longest, longest)
        options |= {"allow_redirects": False, "stream": True, "timeout": timeout}
        if isinstance(self.verify, str):
            # The exporter's, over which requests would prefer REQUESTS_CA_BUNDLE.
            # https://github.com/psf/requests/issues/3829
            options["verify"] = self.verify
        try:
            with super().send(request, **options) as response:
                self.outcome = _outcome(response)
        except Exception as error:
            pass_on(error)
            self.outcome = Outcome(UNREACHABLE, _short(_reason(error, timeout)))
        accepted = requests.Response()
        accepted.status_code = HTTPStatus.OK
        accepted._content = b""
        accepted.request, accepted.url = request, request.url or ""
        return accepted


def _reason(error: Exception, timeout: float) -> str:
    """Return the first cause of an error: those that follow only say which class passed it on."""
    if isinstance(error, requests.Timeout):
        return f"no answer within {timeout:.3g} s"
    first: BaseException = error
    while first.__cause__ or first.__context__:
        first = first.__cause__ or first.__context__ or first
    text = getattr(first, "strerror", None) or f"{type(first).__name__}: {first}"
    is_proxy = isinstance(error, requests.exceptions.ProxyError)
    return f"the proxy of the environment: {text}" if is_proxy else str(text)


def _outcome(response: requests.Response) -> Outcome:
    status = response.status_code
    if 200 <= status < 300:
        return _accepted(response)
    reason = f"status {status} {response.reason or ''}".rstrip()
    why = _message(response)
    reason = _short(f"{reason}: {why}" if why else reason)
    if status in _THROTTLING:
        return Outcome(THROTTLED, reason, _retry_after(response.headers.get("Retry-After", "")))
    return Outcome(ERROR if status >= 500 else REJECTED, reason)


def _accepted(response: requests.Response) -> Outcome:
    """Return the outcome of a request that was accepted, maybe without some of its values."""
    with suppress(Exception):
        answer = ExportMetricsServiceResponse.FromString(_body(response)).partial_success
        if answer.rejected_data_points:
            count, why = answer.rejected_data_points, answer.error_message
            return Outcome(PARTIAL, _short(f"{count} values were rejected: {why}"))
    return Outcome(SUCCESS)


def _message(response: requests.Response) -> str:
    """Return what a receiver says about an error, in one line.

    https://opentelemetry.io/docs/specs/otlp/#failures
    """
    with suppress(Exception):
        kind = response.headers.get("Content-Type", "")
        if kind.startswith("application/x-protobuf"):
            text = Status.FromString(_body(response)).message
        elif kind.startswith(("text/plain", "application/json")):
            text = _body(response).decode(errors="replace")
        else:
            return ""
        return " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return ""


def _body(response: requests.Response) -> bytes:
    """Return the body, or what of it arrives in time."""
    found = bytearray()
    until = monotonic() + _LONGEST_WAIT_FOR_BODY
    # Each read waits until it has what it asked for, so that it asks for little.
    for chunk in response.iter_content(1):
        found += chunk
        if len(found) >= _LONGEST_RESPONSE or monotonic() > until:
            break
    return bytes(found)


def _retry_after(given: str) -> float:
    """Return the seconds in a header ``Retry-After``, at most five minutes; 0 for anything else."""
    seconds = 0.0
    with suppress(ValueError, TypeError, OverflowError):
        seconds = float(given) if given.isascii() and given.isdigit() else _until(given)
    return min(max(seconds, 0.0), _LONGEST_RETRY_AFTER)


def _until(given: str) -> float:
    return parsedate_to_datetime(given).timestamp() - time() if given else 0.0


def _short(text: str) -> str:
    text = text.rstrip(".")
    return text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]} [...]"
