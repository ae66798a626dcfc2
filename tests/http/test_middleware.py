from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import io
import pickle
import re
import tempfile
import time
import uuid
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from inspect import iscoroutine
from typing import Any
from wsgiref.util import FileWrapper

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncClient, AsyncRequestFactory, Client, RequestFactory, override_settings
from django.urls import resolve, set_script_prefix

from tachikoma_metrics.http.request_labels import content_length
from tachikoma_metrics.middleware import MetricsMiddleware
from tachikoma_metrics.registry import UNKNOWN
from tachikoma_metrics.testing import sample_value, samples
from tests import views

BODY = b"".join(views.CHUNKS)
OURS = "tachikoma_metrics.middleware.MetricsMiddleware"


def requests() -> dict[tuple[str, str, str], float]:
    """Return the requests on the page by method, path and status."""
    return {
        (dict(labels)["method"], dict(labels)["path"], dict(labels)["status"]): value
        for (name, labels), value in samples().items()
        if name == "http_requests_total"
    }


def total(name: str, path: str, method: str = "GET") -> float | None:
    return sample_value(name, method=method, path=path)


def in_flight() -> float | None:
    return sample_value("http_requests_in_flight")


def faults() -> float:
    return sum(v for (name, _), v in samples().items() if name == "tachikoma_metrics_errors_total")


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    yield
    assert in_flight() in (0, None)


@pytest.fixture
def forgiving(client: Client) -> Client:
    """Lend a client that answers 500 where a view raises, as a server does."""
    client.raise_request_exception = False
    return client


# --- one event per request --------------------------------------------------


def test_a_request_is_recorded_once(client: Client):
    client.get("/hello/")

    assert requests() == {("GET", "/hello/", "200"): 1}
    assert total("http_request_duration_seconds_count", "/hello/") == 1
    assert total("http_response_size_bytes_sum", "/hello/") == len("hello")


async def test_an_async_request_is_recorded_once(async_client: AsyncClient):
    await async_client.get("/async-hello/")

    assert requests() == {("GET", "/async-hello/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/async-hello/") == len("hello")


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/", "/"),
        (f"/things/{uuid.uuid4()}/parts/left-wheel/", "/things/:id/parts/:part/"),
        ("/archive/2026/feed.xml", "/archive/:year/feed.xml"),
        ("/groups/7/", "/groups/:var/page-:page/"),
        ("/groups/7/page-3/", "/groups/:var/page-:page/"),
        ("/articles/7/", "/articles/:pk/"),
        ("/mirror/7/", "/mirror/:pk/"),
        ("/articles/2026-11/", "/articles/:year-:var/"),
        ("/hello/?q=secret", "/hello/"),
        ("/nowhere/7/", "<unmatched>"),
        ("/hello", "<unmatched>"),
    ],
)
def test_the_path_is_the_route_and_never_the_url(client: Client, url: str, path: str):
    client.get(url)

    assert {found for _, found, _ in requests()} == {path}


LOCALE = "django.middleware.locale.LocaleMiddleware"


@pytest.mark.parametrize("language", ["en", "de", "pt-br"])
def test_a_language_prefix_is_a_placeholder(client: Client, language: str):
    with override_settings(MIDDLEWARE=[OURS, LOCALE]):
        client.get(f"/{language}/about/")

    assert requests() == {("GET", "/:language/about/", "200"): 1}


def test_a_route_that_looks_like_a_language_is_left_alone_without_i18n_patterns(client: Client):
    with override_settings(MIDDLEWARE=[OURS, LOCALE], ROOT_URLCONF="tests.plain_urls"):
        client.get("/en/plain/")

    assert requests() == {("GET", "/en/plain/", "200"): 1}


def test_a_script_prefix_is_no_part_of_the_path():
    try:
        serve("/hello/", SCRIPT_NAME="/mounted").close()
    finally:
        set_script_prefix("/")

    assert requests() == {("GET", "/hello/", "200"): 1}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "HEAD"])
def test_standard_methods_are_told_apart(client: Client, method: str):
    client.generic(method, "/hello/")

    assert requests() == {(method, "/hello/", "200"): 1}


def test_other_methods_are_one(client: Client):
    for method in ("BREW", "PROPFIND", "X" * 5000):
        client.generic(method, "/hello/")

    assert requests() == {("other", "/hello/", "200"): 3}


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/fail/", "500"),
        ("/missing/", "404"),
        ("/no-content/", "204"),
        ("/teapot/", "418"),
    ],
)
def test_the_status_is_the_code_of_the_answer(forgiving: Client, url: str, status: str):
    response = forgiving.get(url)

    assert int(response.status_code) == int(status)
    assert requests() == {("GET", url, status): 1}


async def test_a_failing_async_view_is_recorded_once():
    client = AsyncClient(raise_request_exception=False)
    await client.get("/async-fail/")

    assert requests() == {("GET", "/async-fail/", "500"): 1}


@override_settings(DEBUG_PROPAGATE_EXCEPTIONS=True)
def test_an_exception_that_reaches_the_server_passes_through_and_is_recorded(client: Client):
    with pytest.raises(ValueError, match="failed on purpose"):
        client.get("/fail/")

    assert requests() == {("GET", "/fail/", "500"): 1}


@pytest.mark.parametrize("exception", [SystemExit, KeyboardInterrupt])
def test_whatever_stops_a_worker_passes_through(exception: type[BaseException]):
    def stop(request: HttpRequest) -> HttpResponse:
        raise exception

    with pytest.raises(exception):
        MetricsMiddleware(stop)(RequestFactory().get("/"))

    assert requests() == {("GET", "<unmatched>", "500"): 1}


@override_settings(MIDDLEWARE=[OURS, "tests.views.as_delete"])
def test_the_method_is_the_one_that_arrived(client: Client):
    client.get("/hello/")

    assert requests() == {("GET", "/hello/", "200"): 1}


@override_settings(MIDDLEWARE=[OURS, "tests.views.refuse"])
def test_an_answer_of_another_middleware_is_recorded(client: Client):
    client.get("/hello/")

    assert requests() == {("GET", "<unmatched>", "503"): 1}


async def test_a_cancelled_request_is_a_client_that_left():
    with pytest.raises(asyncio.CancelledError):
        await AsyncClient().get("/leave/")

    assert requests() == {("GET", "/leave/", "499"): 1}


def test_in_flight_counts_the_request_under_way():
    seen = []

    def look(request: HttpRequest) -> HttpResponse:
        seen.append(in_flight())
        return HttpResponse()

    MetricsMiddleware(look)(RequestFactory().get("/"))

    assert seen == [1]


FILES = override_settings(MIDDLEWARE=[OURS, "tests.views.serve_files"])


@FILES
@override_settings(STATIC_URL="assets/", MEDIA_URL="media/")
@pytest.mark.parametrize(
    ("url", "path", "status"),
    [
        ("/assets/css/site.css", "<static>", "200"),
        ("/assets/css/part.css", "<static>", "206"),
        ("/assets/css/known.css", "<static>", "304"),
        ("/media/css/site.css", "<static>", "200"),
        ("/assets/css/", "<unmatched>", "302"),
        ("/assets/missing.css", "<unmatched>", "404"),
        ("/other/css/site.css", "<unmatched>", "200"),
        ("/hello/", "/hello/", "200"),
    ],
)
def test_a_file_that_a_middleware_serves_is_static(
    client: Client, url: str, path: str, status: str
):
    client.get(url)

    assert requests() == {("GET", path, status): 1}


@FILES
@pytest.mark.parametrize(
    ("static_url", "url", "path"),
    [
        ("https://cdn.example/assets/", "/assets/css/site.css", "<static>"),
        ("//cdn.example/assets", "/assets/css/site.css", "<static>"),
        ("/assets/", "/assets/css/site.css", "<static>"),
        ("/assets/", "/assetsx/css/site.css", "<unmatched>"),
        ("https://cdn.example/", "/assets/css/site.css", "<unmatched>"),
        ("/", "/assets/css/site.css", "<unmatched>"),
        ("", "/assets/css/site.css", "<unmatched>"),
        (None, "/assets/css/site.css", "<unmatched>"),
    ],
)
def test_where_static_files_are_is_as_the_settings_say(
    client: Client, static_url: str | None, url: str, path: str
):
    with override_settings(STATIC_URL=static_url):
        client.get(url)

    assert requests() == {("GET", path, "200"): 1}


@FILES
def test_a_route_that_looks_like_a_static_file_is_a_route(client: Client):
    with override_settings(STATIC_URL="/hello/"):
        client.get("/hello/")

    assert requests() == {("GET", "/hello/", "200"): 1}


# --- sizes ------------------------------------------------------------------


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
def test_only_ascii_digits_are_a_length(header: str, length: float):
    assert content_length(header) is length or content_length(header) == length


def test_a_length_that_a_client_gives_as_a_number_counts(client: Client):
    client.post("/hello/", b"", content_type="text/plain", CONTENT_LENGTH=13)

    assert total("http_request_size_bytes_sum", "/hello/", "POST") == 13


def test_the_response_to_head_has_no_size(client: Client):
    client.head("/hello/")

    assert total("http_response_size_bytes_sum", "/hello/", "HEAD") == 0
    assert total("http_response_size_bytes_count", "/hello/", "HEAD") == 1


def test_a_malformed_length_changes_nothing(client: Client):
    response = client.get("/hello/", headers={"content-length": "many"})

    assert response.status_code == 200
    assert requests() == {("GET", "/hello/", "200"): 1}
    assert total("http_request_size_bytes_count", "/hello/") is None
    assert faults() == 0


# --- streams ----------------------------------------------------------------


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


def serve(url: str, **extra: Any) -> Any:
    """Return the response as a WSGI server gets it."""
    environ = {**RequestFactory().get(url).META, **extra}
    handler: Any = WSGIHandler()
    return handler(environ, lambda *args: None)


def test_a_client_that_leaves_a_stream_is_recorded_with_what_it_got():
    response = serve("/stream/")
    next(iter(response))
    response.close()

    assert requests() == {("GET", "/stream/", "499"): 1}
    assert total("http_response_size_bytes_sum", "/stream/") == len(views.CHUNKS[0])


def test_closing_twice_records_once():
    response = serve("/stream/")
    assert b"".join(response) == BODY
    response.close()
    response.close()

    assert requests() == {("GET", "/stream/", "200"): 1}


def test_a_head_request_for_a_stream_is_complete_without_its_body():
    response = serve("/stream/", REQUEST_METHOD="HEAD")
    response.close()

    assert requests() == {("HEAD", "/stream/", "200"): 1}


def test_an_answer_that_has_no_body_is_complete_unread():
    serve("/not-modified/").close()

    assert requests() == {("GET", "/not-modified/", "304"): 1}


def test_a_stream_that_the_server_fails_to_send_is_recorded_at_once():
    gc.disable()
    try:
        response = serve("/stream/")
        assert in_flight() == 1
        del response
        serve("/hello/").close()
    finally:
        gc.enable()

    assert requests() == {("GET", "/stream/", "499"): 1, ("GET", "/hello/", "200"): 1}


# Django makes a circle of such a file and its response, and leaves the file open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_file_that_the_server_fails_to_send_is_recorded():
    response = serve("/file/", **{"wsgi.file_wrapper": FileWrapper})
    assert in_flight() == 1
    del response
    gc.collect()
    serve("/hello/").close()

    assert requests() == {("GET", "/file/", "200"): 1, ("GET", "/hello/", "200"): 1}


# Django leaves the body of such a request to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_connection_that_breaks_in_the_middle_is_recorded(async_client: AsyncClient):
    def break_off(number: int) -> None:
        if number == 2:
            raise BrokenPipeError

    # Not pytest.raises: it would keep the frames of the traceback, and so the response.
    with contextlib.suppress(BrokenPipeError):
        await call_asgi("/async-stream/", break_off)
    for _ in range(100):
        # What is left of the async generators is closed by the loop, when it is found.
        gc.collect()
        await asyncio.sleep(0)
        await async_client.get("/metrics")
        if requests():
            break

    assert requests() == {("GET", "/async-stream/", "499"): 1}


def test_a_stream_that_fails_is_an_error_and_the_exception_passes_through():
    response = serve("/broken-stream/")
    with pytest.raises(OSError, match="broken on purpose"):
        list(response)
    response.close()

    assert requests() == {("GET", "/broken-stream/", "500"): 1}


async def test_an_async_stream_that_fails_is_an_error(async_client: AsyncClient):
    response: Any = await async_client.get("/broken-async-stream/")
    with pytest.raises(OSError, match="broken on purpose"):
        _ = [chunk async for chunk in response.streaming_content]

    assert requests() == {("GET", "/broken-async-stream/", "500"): 1}


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
def test_an_async_stream_can_be_served_by_wsgi():
    response = serve("/async-stream/")

    assert b"".join(response) == BODY
    response.close()
    assert requests() == {("GET", "/async-stream/", "200"): 1}


async def call_asgi(
    url: str, before_message: Callable[[int], Any] = lambda number: None, **scope: Any
) -> list[dict[str, Any]]:
    """Serve one request as an ASGI server does; return the messages it was sent."""
    sent: list[dict[str, Any]] = []
    has_left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not receive.called:  # type: ignore[attr-defined]
            receive.called = True  # type: ignore[attr-defined]
            return {"type": "http.request", "body": b"", "more_body": False}
        await has_left.wait()
        return {"type": "http.disconnect"}

    receive.called = False  # type: ignore[attr-defined]

    async def send(message: Any) -> None:
        if before_message(len(sent)) == "leave":
            has_left.set()
            await asyncio.sleep(30)
        sent.append(message)

    request = {
        "type": "http",
        "method": "GET",
        "path": url,
        "headers": [(b"host", b"localhost")],
        "query_string": b"",
    }
    await ASGIHandler()({**request, **scope}, receive, send)
    return sent


@pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")
@pytest.mark.parametrize("url", ["/stream/", "/async-stream/"])
async def test_both_kinds_of_stream_are_measured_under_asgi(url: str):
    messages = await call_asgi(url)

    assert b"".join(message.get("body", b"") for message in messages) == BODY
    assert requests() == {("GET", url, "200"): 1}
    assert total("http_response_size_bytes_sum", url) == len(BODY)


async def test_a_client_that_leaves_an_async_stream_is_recorded():
    await call_asgi("/async-stream/", lambda number: "leave" if number == 2 else None)

    assert requests() == {("GET", "/async-stream/", "499"): 1}


FIRST_BYTE = "http_response_time_to_first_byte_seconds"
SHOWING_FIRST_BYTE = override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": [FIRST_BYTE]})
reads_ahead = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")


def seconds_between_bytes(path: str) -> float:
    """Return the seconds from the first byte to the end of the one answer there was."""
    first = total(f"{FIRST_BYTE}_sum", path)
    last = total("http_request_duration_seconds_sum", path)
    assert first is not None
    assert last is not None
    return last - first


@reads_ahead
@SHOWING_FIRST_BYTE
async def test_a_sync_stream_under_asgi_is_measured_as_the_client_gets_it():
    def wait_for_client(number: int) -> Any:
        # Message 0 is the head, and from message 1 on the body is there.
        time.sleep(0.05 if number == 2 else 0)

    messages = await call_asgi("/stream/", wait_for_client)

    assert [type(one["body"]) for one in messages if one.get("body")] == [bytes] * 3
    assert requests() == {("GET", "/stream/", "200"): 1}
    assert seconds_between_bytes("/stream/") > 0.04


@reads_ahead
@pytest.mark.parametrize("leaves_at", [0, 1, 2])
async def test_a_client_that_leaves_a_sync_stream_under_asgi_is_recorded(leaves_at: int):
    await call_asgi("/stream/", lambda number: "leave" if number == leaves_at + 1 else None)

    size = sum(map(len, views.CHUNKS[: leaves_at + 1]))
    status = "200" if size == len(BODY) else "499"
    assert requests() == {("GET", "/stream/", status): 1}
    assert total("http_response_size_bytes_sum", "/stream/") == size


@reads_ahead
@SHOWING_FIRST_BYTE
def test_an_async_stream_under_wsgi_is_measured_as_the_client_gets_it():
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
def test_a_client_that_leaves_an_async_stream_under_wsgi_is_recorded():
    response = serve("/async-stream/")
    next(iter(response))
    response.close()

    assert requests() == {("GET", "/async-stream/", "499"): 1}
    assert total("http_response_size_bytes_sum", "/async-stream/") == len(views.CHUNKS[0])


@reads_ahead
async def test_a_sync_stream_that_fails_under_asgi_is_an_error():
    async def respond(request: HttpRequest) -> StreamingHttpResponse:
        return views.broken_stream(request)

    answer: Any = await MetricsMiddleware(respond)(AsyncRequestFactory().get("/"))  # type: ignore[misc]
    with pytest.raises(OSError, match="broken on purpose"):
        _ = [chunk async for chunk in answer]
    answer.close()

    assert requests() == {("GET", "<unmatched>", "500"): 1}


async def test_a_test_client_may_read_a_stream_of_the_other_kind(async_client: AsyncClient):
    response: Any = await async_client.get("/stream/")
    assert response.getvalue() == BODY
    response.close()

    assert requests() == {("GET", "/stream/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/stream/") == len(BODY)


@pytest.mark.parametrize("url", ["/stream/", "/file/", "/async-stream/"])
@pytest.mark.parametrize(
    ("method", "status"), [("HEAD", 200), ("HEAD", 404), ("GET", 204), ("GET", 304), ("GET", 103)]
)
@reads_ahead
async def test_an_answer_without_a_body_has_no_size(url: str, method: str, status: int):
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
def test_a_server_that_reads_the_body_of_an_answer_to_head_sends_none_of_it(url: str):
    response = serve(url, REQUEST_METHOD="HEAD")
    list(response)
    response.close()

    assert requests() == {("HEAD", url, "200"): 1}
    assert total("http_response_size_bytes_sum", url, "HEAD") == 0


async def test_a_client_that_leaves_before_the_answer_is_recorded():
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


def test_a_file_is_measured_where_django_reads_it():
    response = serve("/file/")
    size = len(b"".join(response))
    response.close()

    assert requests() == {("GET", "/file/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/file/") == size


def test_a_file_that_the_server_sends_itself_stays_so():
    wrapped = serve("/file/", **{"wsgi.file_wrapper": FileWrapper})
    assert isinstance(wrapped, FileWrapper)
    size = len(b"".join(wrapped))
    wrapped.close()

    assert requests() == {("GET", "/file/", "200"): 1}
    assert total("http_response_size_bytes_sum", "/file/") == size


def test_a_file_of_unknown_size_that_the_server_sends_has_no_size():
    wrapped = serve("/piped-file/", **{"wsgi.file_wrapper": FileWrapper})
    assert len(b"".join(wrapped)) == 500
    wrapped.close()

    assert requests() == {("GET", "/piped-file/", "200"): 1}
    assert total("http_response_size_bytes_count", "/piped-file/") in (0, None)


def test_the_first_byte_comes_before_the_last():
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


def test_the_time_to_the_first_byte_is_there_when_switched_on(client: Client):
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


class Breaking(io.RawIOBase):
    """A request's body that breaks off."""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        raise ConnectionResetError


@override_settings(MIDDLEWARE=[OURS])
def test_an_upload_that_breaks_off_is_a_client_that_left():
    body = {"wsgi.input": Breaking(), "CONTENT_LENGTH": "500"}
    response = serve("/upload/", REQUEST_METHOD="POST", **body)
    response.close()

    assert response.status_code == 500
    assert requests() == {("POST", "/upload/", "499"): 1}


@override_settings(MIDDLEWARE=[OURS])
def test_an_exception_of_the_view_is_no_client_that_left():
    serve("/fail/", REQUEST_METHOD="POST").close()

    assert requests() == {("POST", "/fail/", "500"): 1}


# --- labels from the settings -----------------------------------------------


@override_settings(
    TACHIKOMA_METRICS={
        "EXTRA_LABELS": {"tenant": "tests.views.tenant"},
        "LABELS": {
            "http_requests_total": ["status", "view", "scheme", "tenant"],
            "http_request_duration_seconds": ["tenant"],
        },
    }
)
def test_optional_and_extra_labels_are_filled_in(client: Client):
    client.get("/articles/7/", headers={"x-tenant": "blue"}, secure=True)
    client.get("/nowhere/", headers={"x-tenant": "blue"})

    labels = {"tenant": "blue", "status": "200", "scheme": "https", "view": "news:article"}
    assert sample_value("http_requests_total", **labels) == 1
    labels = {"tenant": "blue", "status": "404", "scheme": "http", "view": "<unmatched>"}
    assert sample_value("http_requests_total", **labels) == 1
    assert sample_value("http_request_duration_seconds_count", tenant="blue") == 2


@override_settings(
    TACHIKOMA_METRICS={
        "CARDINALITY_LIMIT": 4,
        "EXTRA_LABELS": {"tenant": "tests.views.tenant"},
        "LABELS": {"http_requests_total": ["tenant"]},
    }
)
def test_extra_labels_are_capped_like_all_others(client: Client):
    for number in range(9):
        client.get("/hello/", headers={"x-tenant": f"tenant-{number}"})

    assert sum(name == "http_requests_total" for name, _ in samples()) == 4
    assert sample_value("http_requests_total", tenant="overflow") == 6


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 2})
def test_failures_past_the_limit_are_failures(forgiving: Client):
    for url in ("/", "/hello/", "/articles/7/", "/fail/", "/fail/"):
        forgiving.get(url)

    assert requests() == {
        ("GET", "/", "200"): 1,
        ("GET", "overflow", "200"): 2,
        ("GET", "overflow", "500"): 2,
    }
    assert total("http_request_duration_seconds_count", "overflow") == 4


@pytest.mark.parametrize(
    ("path", "counted"), [("tests.views.failing_label", 1), ("tests.views.no_label", 0)]
)
def test_an_extra_label_without_a_value_is_empty(client: Client, path: str, counted: int):
    declared = {
        "EXTRA_LABELS": {"tenant": path},
        "LABELS": {"http_requests_total": ["method", "tenant"]},
    }
    with override_settings(TACHIKOMA_METRICS=declared):
        response = client.get("/hello/")

        assert response.content == b"hello"
        assert sample_value("http_requests_total", method="GET", tenant="") == 1
        assert faults() == counted


# --- what is not measured ---------------------------------------------------


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
async def test_a_disabled_middleware_only_passes_on(client: Client, async_client: AsyncClient):
    assert client.get("/hello/").content == b"hello"
    assert (await async_client.get("/async-hello/")).content == b"hello"

    with override_settings(TACHIKOMA_METRICS={}):
        assert requests() == {}


# --- it never breaks the app ------------------------------------------------


class Unmeasurable(HttpResponse):
    @property
    def content(self) -> bytes:
        raise RuntimeError("no content today")

    @content.setter
    def content(self, value: Any) -> None:
        pass


class Unwrappable(StreamingHttpResponse):
    @property
    def streaming_content(self) -> Any:
        raise RuntimeError("no stream today")

    @streaming_content.setter
    def streaming_content(self, value: Any) -> None:
        self.is_async = False


@pytest.mark.parametrize("response", [Unmeasurable(), Unwrappable()])
def test_a_response_that_cannot_be_measured_is_returned(response: Any):
    answer = MetricsMiddleware(lambda request: response)(RequestFactory().get("/"))

    assert answer is response
    assert sum(requests().values()) == 1
    assert faults() >= 1


@pytest.mark.parametrize("response", [None, object()])
def test_what_is_no_response_is_returned_and_no_instrumentation_error(response: Any):
    answer = MetricsMiddleware(lambda request: response)(RequestFactory().get("/"))

    assert answer is response
    assert requests() == {("GET", "<unmatched>", "500"): 1}
    assert faults() == 0


def test_a_request_whose_facts_cannot_be_read_is_answered_and_counted():
    request = RequestFactory().get("/")
    request.resolver_match = object()  # type: ignore[assignment]

    answer: Any = MetricsMiddleware(lambda request: HttpResponse("fine"))(request)

    assert answer.content == b"fine"
    assert requests() == {("GET", "<unmatched>", "200"): 1}
    assert faults() == 1


def test_a_request_can_be_copied_and_pickled_as_without_the_middleware():
    copied = []

    def copy_it(request: HttpRequest) -> HttpResponse:
        copied.extend([copy.deepcopy(request), pickle.loads(pickle.dumps(request))])  # noqa: S301
        return HttpResponse()

    request = RequestFactory().get("/")
    for stream in ("wsgi.input", "wsgi.errors"):
        request.META[stream] = None
    request._stream = None  # type: ignore[assignment]
    request.environ = {}
    MetricsMiddleware(copy_it)(request)

    assert len(copied) == 2


def test_a_request_is_let_go_of_when_it_is_answered():
    request = RequestFactory().get("/")
    reference = weakref.ref(request)

    gc.disable()
    try:
        MetricsMiddleware(lambda request: HttpResponse())(request)
        del request
        assert reference() is None
    finally:
        gc.enable()


def test_an_extra_label_that_no_family_has_is_not_asked_for(client: Client):
    declared = {"EXTRA_LABELS": {"tenant": "tests.views.failing_label"}}
    with override_settings(TACHIKOMA_METRICS=declared):
        client.get("/hello/")

        assert faults() == 0
        assert requests() == {("GET", "/hello/", "200"): 1}


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-16"])
def test_chunks_of_any_kind_are_what_they_are_without_the_middleware(charset: str):
    def stream(request: HttpRequest) -> StreamingHttpResponse:
        chunks = ["größe", b"raw", memoryview(b"view"), 7, None, bytearray(b"array")]
        return StreamingHttpResponse(chunks, content_type=f"text/plain; charset={charset}")

    request = RequestFactory().get("/")
    without = b"".join(stream(request))
    answer: Any = MetricsMiddleware(stream)(request)

    assert b"".join(answer) == without
    assert total("http_response_size_bytes_sum", "<unmatched>") == len(without)


def test_the_chunks_of_a_stream_are_not_read_ahead():
    asked = []

    def body() -> Iterator[bytes]:
        for chunk in views.CHUNKS:
            asked.append(chunk)
            yield chunk

    answer: Any = MetricsMiddleware(lambda request: StreamingHttpResponse(body()))(
        RequestFactory().get("/")
    )
    assert asked == []
    next(iter(answer))
    assert asked == [views.CHUNKS[0]]
    answer.close()


async def test_an_async_body_is_closed_as_without_the_middleware():
    closed = []

    class Body:
        def __aiter__(self) -> AsyncIterator[bytes]:
            return views.async_chunks()

        def close(self) -> None:
            closed.append(True)

    async def respond(request: HttpRequest) -> StreamingHttpResponse:
        return StreamingHttpResponse(Body())

    answer: Any = await MetricsMiddleware(respond)(RequestFactory().get("/"))  # type: ignore[misc]
    answer.close()

    assert closed == [True]
    assert requests() == {("GET", "<unmatched>", "499"): 1}


def test_a_stream_is_gone_with_its_temporary_file():
    with tempfile.TemporaryFile() as body:
        body.write(BODY)
        body.seek(0)
        response = StreamingHttpResponse(body)
        answer: Any = MetricsMiddleware(lambda request: response)(RequestFactory().get("/"))
        assert b"".join(answer) == BODY
        answer.close()

        assert body.closed
