"""The ``status`` label: responses, exceptions, and clients that disconnect."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings

from tachikoma_metrics.middleware import MetricsMiddleware
from tests.http.recorded import requests
from tests.http.servers import METRICS_MIDDLEWARE, serve


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/fail/", "500"),
        ("/missing/", "404"),
        ("/no-content/", "204"),
        ("/teapot/", "418"),
    ],
)
def test_the_status_label_is_the_code_of_the_response(
    client_without_exceptions: Client, url: str, status: str
):
    response = client_without_exceptions.get(url)

    assert int(response.status_code) == int(status)
    assert requests() == {("GET", url, status): 1}


async def test_a_failing_async_view_is_recorded_once():
    client = AsyncClient(raise_request_exception=False)
    await client.get("/async-fail/")

    assert requests() == {("GET", "/async-fail/", "500"): 1}


@override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True)
def test_an_exception_that_reaches_the_server_is_recorded_as_500(client: Client):
    with pytest.raises(ValueError, match="failed on purpose"):
        client.get("/fail/")

    assert requests() == {("GET", "/fail/", "500"): 1}


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_an_exception_that_stops_the_worker_is_recorded_as_500(exception: type[BaseException]):
    def stop(request: HttpRequest) -> HttpResponse:
        raise exception

    with pytest.raises(exception):
        MetricsMiddleware(stop)(RequestFactory().get("/"))

    assert requests() == {("GET", "<unmatched>", "500"): 1}


@override_settings(MIDDLEWARE=[METRICS_MIDDLEWARE, "tests.views.reject"])
def test_a_response_of_another_middleware_is_recorded(client: Client):
    client.get("/hello/")

    assert requests() == {("GET", "<unmatched>", "503"): 1}


async def test_a_cancelled_request_is_recorded_as_499():
    with pytest.raises(asyncio.CancelledError):
        await AsyncClient().get("/leave/")

    assert requests() == {("GET", "/leave/", "499"): 1}


async def test_a_client_that_disconnects_before_the_response_is_recorded_as_499():
    entered = asyncio.Event()

    async def wait(request: HttpRequest) -> HttpResponse:
        entered.set()
        await asyncio.sleep(30)
        return HttpResponse()

    task = asyncio.ensure_future(MetricsMiddleware(wait)(RequestFactory().get("/")))  # type: ignore[arg-type]
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert requests() == {("GET", "<unmatched>", "499"): 1}


class BrokenUpload(io.RawIOBase):
    """A request body whose connection breaks."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise ConnectionResetError


@override_settings(MIDDLEWARE=[METRICS_MIDDLEWARE])
def test_an_upload_that_breaks_off_is_recorded_as_499():
    body = {"wsgi.input": BrokenUpload(), "CONTENT_LENGTH": "500"}
    response = serve("/upload/", REQUEST_METHOD="POST", **body)
    response.close()

    assert response.status_code == 500
    assert requests() == {("POST", "/upload/", "499"): 1}


@override_settings(MIDDLEWARE=[METRICS_MIDDLEWARE])
def test_an_exception_of_the_view_is_recorded_as_500():
    serve("/fail/", REQUEST_METHOD="POST").close()

    assert requests() == {("POST", "/fail/", "500"): 1}
