"""Requests that a view makes while it answers another request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.handlers.base import BaseHandler
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, Client, RequestFactory, override_settings
from django.urls import path

from tachikoma_metrics.testing import sample_value, samples

pytestmark = pytest.mark.django_db


def run_queries(number: int) -> None:
    for _ in range(number):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")


def inner(request: HttpRequest) -> HttpResponse:
    run_queries(10)
    return HttpResponse("inner")


def inner_stream(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        run_queries(10)
        yield b"inner"

    return StreamingHttpResponse(chunks())


def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError("failed on purpose")


class PreviewHandler(BaseHandler):
    """Responds without a route, as the previews of a content management system do."""

    def get_response(self, request: Any) -> Any:
        self.load_middleware()
        return super().get_response(request)

    def _get_response(self, request: Any) -> HttpResponse:
        return inner(request)


def by_client(url: str) -> None:
    Client(raise_request_exception=False).get(url)


def by_handler(url: str) -> None:
    WSGIHandler().get_response(RequestFactory().get(url))


def by_preview(url: str) -> None:
    PreviewHandler().get_response(RequestFactory().get(url))


def outer(request: HttpRequest, way: str) -> HttpResponse:
    run_queries(1)
    for _ in range(2):
        WAYS[way](f"/{request.GET['url']}/")
    run_queries(3)
    return HttpResponse("outer")


async def outer_async(request: HttpRequest, way: str) -> HttpResponse:
    await sync_to_async(run_queries)(1)
    await AsyncClient().get("/inner/")
    await sync_to_async(run_queries)(3)
    return HttpResponse("outer")


def outer_stream(request: HttpRequest) -> StreamingHttpResponse:
    def chunks() -> Iterator[bytes]:
        by_client("/inner/")
        run_queries(3)
        yield b"outer"

    return StreamingHttpResponse(chunks())


WAYS = {"client": by_client, "handler": by_handler, "preview": by_preview}

urlpatterns = [
    path("inner/", inner),
    path("inner-stream/", inner_stream),
    path("fail/", fail),
    path("outer/<way>/", outer),
    path("outer-async/<way>/", outer_async),
    path("outer-stream/", outer_stream),
]


@pytest.fixture(autouse=True)
def _db_queries_are_enabled() -> Iterator[None]:
    queries = {"EXTRA_METRICS": ["http_request_db_queries"]}
    with override_settings(ROOT_URLCONF=__name__, TACHIKOMA_METRICS=queries):
        yield
        assert sample_value("http_requests_in_flight") == 0


def requests() -> dict[str, float]:
    return {
        dict(labels)["path"]: value
        for (name, labels), value in samples().items()
        if name == "http_requests_total"
    }


def queries(path: str) -> float | None:
    return sample_value("http_request_db_queries_sum", method="GET", path=path)


@pytest.mark.parametrize("way", ["client", "handler"])
def test_an_inner_request_is_recorded_under_its_own_route(client: Client, way: str):
    client.get(f"/outer/{way}/?url=inner")

    assert requests() == {"/outer/:way/": 1, "/inner/": 2}


@pytest.mark.parametrize("way", ["client", "handler"])
def test_each_request_counts_its_own_queries(client: Client, way: str):
    client.get(f"/outer/{way}/?url=inner")

    assert queries("/outer/:way/") == 4
    assert queries("/inner/") == 20


async def test_each_async_request_counts_its_own_queries(async_client: AsyncClient):
    await async_client.get("/outer-async/client/")

    assert queries("/outer-async/:way/") == 4
    assert queries("/inner/") == 10


@pytest.mark.parametrize("url", ["inner", "fail"])
def test_an_inner_request_without_a_route_is_part_of_the_outer(client: Client, url: str):
    client.get(f"/outer/preview/?url={url}")

    assert requests() == {"/outer/:way/": 1}
    assert queries("/outer/:way/") == 24


def test_queries_after_a_failed_inner_request_belong_to_the_outer_one(client: Client):
    client.raise_request_exception = False
    client.get("/outer/client/?url=fail")

    assert requests() == {"/outer/:way/": 1, "/fail/": 2}
    assert queries("/outer/:way/") == 4


def test_queries_after_an_unread_inner_stream_belong_to_the_outer_request(client: Client):
    client.get("/outer/handler/?url=inner-stream")
    # Records the end of the unread stream.
    client.get("/inner/")

    assert queries("/outer/:way/") == 4


def test_queries_of_a_stream_after_an_inner_request_belong_to_the_stream(client: Client):
    response: Any = client.get("/outer-stream/")
    b"".join(response.streaming_content)

    assert queries("/outer-stream/") == 3
    assert queries("/inner/") == 10


def test_a_request_during_an_unread_stream_is_no_inner_request(client: Client):
    response = client.get("/outer-stream/")
    client.get("/nowhere/")
    response.close()

    assert requests() == {"/outer-stream/": 1, "<unmatched>": 1}
