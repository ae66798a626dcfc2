"""The sizes of requests and responses."""

from __future__ import annotations

from inspect import iscoroutine
from typing import Any

import pytest
from django.http import HttpRequest
from django.test import AsyncRequestFactory, Client
from django.urls import resolve

from tachikoma_metrics.http.request_labels import content_length
from tachikoma_metrics.middleware import MetricsMiddleware
from tachikoma_metrics.registry import UNKNOWN
from tests.http.recorded import instrumentation_errors, requests, total
from tests.http.servers import reads_ahead, serve


def test_the_request_size_is_its_content_length(client: Client):
    client.post("/hello/", b"x" * 321, content_type="text/plain")

    assert total("http_request_size_bytes_sum", "/hello/", "POST") == 321


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ("0", 0),
        ("12", 12),
        ("007", 7),
        ("None", UNKNOWN),
        ("[5]", UNKNOWN),
        ("", UNKNOWN),
        ("-1", UNKNOWN),
        ("+1", UNKNOWN),
        (" 1", UNKNOWN),
        ("1 ", UNKNOWN),
        ("1\n", UNKNOWN),
        ("1_0", UNKNOWN),
        ("1.0", UNKNOWN),
        ("5, 5", UNKNOWN),
        ("5,5", UNKNOWN),
        ("١٢", UNKNOWN),
        ("²", UNKNOWN),
        ("9" * 15, 10**15 - 1),
        ("9" * 18, 1e18),
        ("9" * 19, UNKNOWN),
        ("9" * 5000, UNKNOWN),
    ],
)
def test_only_ascii_digits_are_a_content_length(header: str, length: float):
    assert content_length(header) is length or content_length(header) == length


def test_a_content_length_that_is_a_number_is_recorded(client: Client):
    client.post("/hello/", b"", content_type="text/plain", CONTENT_LENGTH=13)

    assert total("http_request_size_bytes_sum", "/hello/", "POST") == 13


def test_a_response_to_head_has_the_size_zero(client: Client):
    client.head("/hello/")

    assert total("http_response_size_bytes_sum", "/hello/", "HEAD") == 0
    assert total("http_response_size_bytes_count", "/hello/", "HEAD") == 1


def test_a_malformed_content_length_is_ignored(client: Client):
    response = client.get("/hello/", headers={"content-length": "many"})

    assert response.status_code == 200
    assert requests() == {("GET", "/hello/", "200"): 1}
    assert total("http_request_size_bytes_count", "/hello/") is None
    assert instrumentation_errors() == 0


@pytest.mark.parametrize("url", ["/stream/", "/file/", "/async-stream/"])
@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 304), ("GET", 103)]
)
@reads_ahead
async def test_a_response_without_a_body_has_the_size_zero(url: str, method: str, status: int):
    async def respond(request: HttpRequest) -> Any:
        made = resolve(url).func(request)
        response = await made if iscoroutine(made) else made
        response.status_code = status
        return response

    request = AsyncRequestFactory().generic(method, url)
    answer: Any = await MetricsMiddleware(respond)(request)  # type: ignore[misc]
    async for _ in answer:
        pass
    answer.close()

    assert requests() == {(method, "<unmatched>", str(status)): 1}
    assert total("http_response_size_bytes_sum", "<unmatched>", method) == 0


@pytest.mark.parametrize("url", ["/stream/", "/file/"])
def test_a_body_that_the_server_reads_in_response_to_head_is_not_counted_as_sent(url: str):
    response = serve(url, REQUEST_METHOD="HEAD")
    list(response)
    response.close()

    assert requests() == {("HEAD", url, "200"): 1}
    assert total("http_response_size_bytes_sum", url, "HEAD") == 0
