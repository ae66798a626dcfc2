"""Which requests the middleware measures: each once, and none that is excluded."""

from __future__ import annotations

import re

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings

from tachikoma_metrics.middleware import MetricsMiddleware
from tests.http.recorded import in_flight, requests, total


def test_a_request_is_recorded_once(client: Client):
    client.get("/hello/")

    assert requests() == {("GET", "/hello/", "200"): 1}
    assert total("http_request_duration_seconds_count", "/hello/") == 1
    assert total("http_response_size_bytes_sum", "/hello/") == len("hello")


async def test_an_async_request_is_recorded_once(async_client: AsyncClient):
    await async_client.get("/async-hello/")

    assert requests() == {("GET", "/async-hello/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/async-hello/") == len("hello")


def test_a_request_in_progress_is_in_flight():
    seen = []

    def look(request: HttpRequest) -> HttpResponse:
        seen.append(in_flight())
        return HttpResponse()

    MetricsMiddleware(look)(RequestFactory().get("/"))

    assert seen == [1]


@override_settings(TACHIKOMA_METRICS={"EXCLUDE_PATHS": [r"^/hello/$", re.compile("articles")]})
def test_excluded_paths_are_not_measured(client: Client):
    client.get("/hello/")
    client.get("/articles/7/")
    client.get("/")

    assert requests() == {("GET", "/", "200"): 1}


@override_settings(TACHIKOMA_METRICS={"EXCLUDE_PATHS": [r"^/async-hello/$"]})
async def test_excluded_paths_are_not_measured_under_asgi(async_client: AsyncClient):
    await async_client.get("/async-hello/")

    assert requests() == {}


@pytest.mark.parametrize("path", ["/metrics", None])
def test_a_scrape_is_not_measured(client: Client, path: str | None):
    with override_settings(TACHIKOMA_METRICS={"PATH": path}):
        page = client.get("/metrics").content.decode()

    assert "http_requests_in_flight 0.0" in page
    assert requests() == {}


@override_settings(TACHIKOMA_METRICS={"ENABLED": False})
async def test_a_disabled_middleware_measures_nothing(client: Client, async_client: AsyncClient):
    assert client.get("/hello/").content == b"hello"
    assert (await async_client.get("/async-hello/")).content == b"hello"

    with override_settings(TACHIKOMA_METRICS={}):
        assert requests() == {}
