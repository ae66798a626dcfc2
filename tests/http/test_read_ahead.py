"""Streams of the other kind than the server, which Django reads to their end first."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.http import HttpRequest, StreamingHttpResponse
from django.test import AsyncClient, AsyncRequestFactory, override_settings

from tachikoma_metrics.middleware import MetricsMiddleware
from tests import views
from tests.http.recorded import requests, total
from tests.http.servers import BODY, call_asgi, reads_ahead, serve


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_an_async_stream_can_be_served_by_wsgi():
    response = serve("/async-stream/")

    assert b"".join(response) == BODY
    response.close()
    assert requests() == {("GET", "/async-stream/", "200"): 1}


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize("url", ["/stream/", "/async-stream/"])
async def test_both_kinds_of_stream_are_measured_under_asgi(url: str):
    messages = await call_asgi(url)

    assert b"".join(message.get("body", b"") for message in messages) == BODY
    assert requests() == {("GET", url, "200"): 1}
    assert total("http_response_size_bytes_sum", url) == len(BODY)


FIRST_BYTE = "http_response_time_to_first_byte_seconds"
SHOWING_FIRST_BYTE = override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": [FIRST_BYTE]})


def seconds_between_bytes(path: str) -> float:
    """Return the seconds from the first byte to the end of the one answer there was."""
    first = total(f"{FIRST_BYTE}_sum", path)
    last = total("http_request_duration_seconds_sum", path)
    assert first is not None
    assert last is not None
    return last - first


@reads_ahead
@SHOWING_FIRST_BYTE
async def test_a_sync_stream_under_asgi_is_measured_as_the_client_receives_it():
    def wait_for_client(number: int) -> Any:
        # Message 0 is the head, and from message 1 on the body is there.
        time.sleep(0.05 if number == 2 else 0)

    messages = await call_asgi("/stream/", wait_for_client)

    assert [type(one["body"]) for one in messages if one.get("body")] == [bytes] * 3
    assert requests() == {("GET", "/stream/", "200"): 1}
    assert seconds_between_bytes("/stream/") > 0.04


@reads_ahead
@pytest.mark.parametrize("leaves_at", [0, 1, 2])
async def test_a_client_that_disconnects_from_a_sync_stream_under_asgi_is_recorded(leaves_at: int):
    await call_asgi("/stream/", lambda number: "leave" if number == leaves_at + 1 else None)

    size = sum(map(len, views.CHUNKS[: leaves_at + 1]))
    status = "200" if size == len(BODY) else "499"
    assert requests() == {("GET", "/stream/", status): 1}
    assert total("http_response_size_bytes_sum", "/stream/") == size


@reads_ahead
@SHOWING_FIRST_BYTE
def test_an_async_stream_under_wsgi_is_measured_as_the_client_receives_it():
    response = serve("/async-stream/")
    body = iter(response)
    assert requests() == {}
    chunks = [next(body)]
    time.sleep(0.05)
    chunks.extend(body)
    response.close()

    assert [(type(one), one) for one in chunks] == [(bytes, one) for one in views.CHUNKS]
    assert requests() == {("GET", "/async-stream/", "200"): 1}
    assert seconds_between_bytes("/async-stream/") > 0.04


@reads_ahead
def test_a_client_that_disconnects_from_an_async_stream_under_wsgi_is_recorded():
    response = serve("/async-stream/")
    next(iter(response))
    response.close()

    assert requests() == {("GET", "/async-stream/", "499"): 1}
    assert total("http_response_size_bytes_sum", "/async-stream/") == len(views.CHUNKS[0])


@reads_ahead
async def test_a_sync_stream_that_raises_under_asgi_is_recorded_as_500():
    async def respond(request: HttpRequest) -> StreamingHttpResponse:
        return views.broken_stream(request)

    answer: Any = await MetricsMiddleware(respond)(AsyncRequestFactory().get("/"))  # type: ignore[misc]
    with pytest.raises(OSError, match="broken on purpose"):
        _ = [chunk async for chunk in answer]
    answer.close()

    assert requests() == {("GET", "<unmatched>", "500"): 1}


async def test_the_async_test_client_can_read_a_sync_stream(async_client: AsyncClient):
    response: Any = await async_client.get("/stream/")
    assert response.getvalue() == BODY
    response.close()

    assert requests() == {("GET", "/stream/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/stream/") == len(BODY)
