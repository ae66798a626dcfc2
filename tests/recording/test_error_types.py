from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import urllib.error

import httpx
import pytest
import requests

from tachikoma_metrics.recording.error_types import ERROR_TYPES, error_of, error_of_status


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (101, None),
        (200, None),
        (304, None),
        (400, "invalid_request"),
        (401, "authentication"),
        (402, "client_error"),
        (403, "permission"),
        (404, "not_found"),
        (408, "timeout"),
        (409, "conflict"),
        (413, "too_large"),
        (422, "unprocessable"),
        (429, "rate_limit"),
        (499, "client_error"),
        (500, "server_error"),
        (503, "overloaded"),
        (504, "server_error"),
        (529, "overloaded"),
        (999, "server_error"),
    ],
)
def test_a_status_has_an_error_type(status: int, kind: str | None):
    assert error_of_status(status) == kind


class Answered(Exception):
    def __init__(self, status: object) -> None:
        self.status_code = status


class APIConnectionError(Answered):
    pass


class SoftTimeLimitExceeded(Exception):
    pass


class Cancelled(BaseException):
    pass


class BaseExceptionGroup(BaseException):  # For Python 3.10, as a package has it.
    def __init__(self, *exceptions: BaseException) -> None:
        self.exceptions = exceptions


def from_(cause: BaseException) -> BaseException:
    error = APIConnectionError(None)
    error.__cause__ = cause
    return error


REQUEST = httpx.Request("GET", "http://backend")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError(""), "connection"),
        (httpx.ReadError(""), "connection"),
        (httpx.ProxyError(""), "connection"),
        (httpx.ConnectTimeout(""), "timeout"),
        (httpx.PoolTimeout(""), "timeout"),
        (httpx.RemoteProtocolError(""), "protocol"),
        (httpx.UnsupportedProtocol(""), "protocol"),
        (httpx.DecodingError(""), "protocol"),
        (requests.ConnectionError(), "connection"),
        (requests.ConnectTimeout(), "timeout"),
        (requests.exceptions.ChunkedEncodingError(), "protocol"),
        (http.client.IncompleteRead(b""), "protocol"),
        (urllib.error.URLError("refused"), "connection"),
        (socket.gaierror(), "connection"),
        (ssl.SSLError(), "connection"),
        (ConnectionResetError(), "connection"),
        (TimeoutError(), "timeout"),
        (asyncio.TimeoutError(), "timeout"),
        (SoftTimeLimitExceeded(), "timeout"),
        (asyncio.CancelledError(), "cancelled"),
        (GeneratorExit(), "cancelled"),
        (KeyboardInterrupt(), "cancelled"),
        (Cancelled(), "cancelled"),
        (httpx.HTTPStatusError("", request=REQUEST, response=httpx.Response(429)), "rate_limit"),
        (Answered(529), "overloaded"),
        (Answered(200), "other"),
        (Answered("429"), "other"),
        (APIConnectionError(500), "connection"),
        (ValueError(), "other"),
        (from_(SoftTimeLimitExceeded()), "timeout"),
        (from_(httpx.ConnectError("")), "connection"),
        (BaseExceptionGroup(TimeoutError(), from_(TimeoutError())), "timeout"),
        (BaseExceptionGroup(Answered(429), asyncio.CancelledError()), "rate_limit"),
        (BaseExceptionGroup(asyncio.CancelledError()), "cancelled"),
        (BaseExceptionGroup(TimeoutError(), Answered(429)), "other"),
    ],
)
def test_an_exception_has_an_error_type(error: BaseException, kind: str):
    assert error_of(error) == kind
    assert kind in ERROR_TYPES
