"""Streamed responses, to their end or until the client disconnects."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from typing import Any

import pytest
from django.test import AsyncClient, Client, override_settings

from tests import views
from tests.http.recorded import in_flight, requests, total
from tests.http.servers import BODY, call_asgi, serve


def test_a_stream_is_measured_to_its_end(client: Client):
    response = client.get("/stream/")
    assert requests() == {}
    assert in_flight() == 1

    assert response.getvalue() == BODY
    assert requests() == {("GET", "/stream/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/stream/") == len(BODY)


async def test_an_async_stream_is_measured_to_its_end(async_client: AsyncClient):
    response: Any = await async_client.get("/async-stream/")
    assert in_flight() == 1

    assert b"".join([chunk async for chunk in response.streaming_content]) == BODY
    assert requests() == {("GET", "/async-stream/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/async-stream/") == len(BODY)


def test_a_client_that_disconnects_is_recorded_with_the_bytes_it_received():
    response = serve("/stream/")
    next(iter(response))
    response.close()

    assert requests() == {("GET", "/stream/", "499"): 1}
    assert total("http_response_size_bytes_sum", "/stream/") == len(views.CHUNKS[0])


def test_a_stream_that_is_closed_twice_is_recorded_once():
    response = serve("/stream/")
    assert b"".join(response) == BODY
    response.close()
    response.close()

    assert requests() == {("GET", "/stream/", "200"): 1}


def test_a_head_request_for_a_stream_is_complete_without_the_body():
    response = serve("/stream/", REQUEST_METHOD="HEAD")
    response.close()

    assert requests() == {("HEAD", "/stream/", "200"): 1}


def test_a_stream_with_a_status_without_body_is_complete_unread():
    serve("/not-modified/").close()

    assert requests() == {("GET", "/not-modified/", "304"): 1}


def test_a_stream_that_the_server_fails_to_send_is_recorded_by_the_next_request():
    gc.disable()
    try:
        response = serve("/stream/")
        assert in_flight() == 1
        del response
        serve("/hello/").close()
    finally:
        gc.enable()

    assert requests() == {("GET", "/stream/", "499"): 1, ("GET", "/hello/", "200"): 1}


# Django leaves the body of such a request to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_connection_that_breaks_during_a_stream_is_recorded(async_client: AsyncClient):
    def disconnect(number: int) -> None:
        if number == 2:
            raise BrokenPipeError

    # Not pytest.raises: it would keep the frames of the traceback, and so the response.
    with contextlib.suppress(BrokenPipeError):
        await call_asgi("/async-stream/", disconnect)
    for _ in range(100):
        # What is left of the async generators is closed by the loop, when it is found.
        gc.collect()
        await asyncio.sleep(0)
        await async_client.get("/metrics")
        if requests():
            break

    assert requests() == {("GET", "/async-stream/", "499"): 1}


def test_a_stream_that_raises_is_recorded_as_500():
    response = serve("/broken-stream/")
    with pytest.raises(OSError, match="broken on purpose"):
        list(response)
    response.close()

    assert requests() == {("GET", "/broken-stream/", "500"): 1}


async def test_an_async_stream_that_raises_is_recorded_as_500(async_client: AsyncClient):
    response: Any = await async_client.get("/broken-async-stream/")
    with pytest.raises(OSError, match="broken on purpose"):
        _ = [chunk async for chunk in response.streaming_content]

    assert requests() == {("GET", "/broken-async-stream/", "500"): 1}


async def test_a_client_that_disconnects_from_an_async_stream_is_recorded():
    await call_asgi("/async-stream/", lambda number: "leave" if number == 2 else None)

    assert requests() == {("GET", "/async-stream/", "499"): 1}


def test_the_time_to_the_first_byte_of_a_stream_ends_before_the_last_byte():
    name = "http_response_time_to_first_byte_seconds"
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": [name]}):
        response = serve("/stream/")
        body = iter(response)
        next(body)
        time.sleep(0.05)
        list(body)
        response.close()

        first = total(f"{name}_sum", "/stream/")
        last = total("http_request_duration_seconds_sum", "/stream/")

    assert first is not None
    assert last is not None
    assert first < last - 0.04


def test_the_time_to_the_first_byte_is_recorded_if_it_is_enabled(client: Client):
    name = "http_response_time_to_first_byte_seconds"
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": [name]}):
        client.get("/hello/")
        client.get("/stream/").getvalue()

        for path in ("/hello/", "/stream/"):
            first = total(f"{name}_sum", path)
            last = total("http_request_duration_seconds_sum", path)
            assert first is not None
            assert last is not None
            assert 0 < first <= last
