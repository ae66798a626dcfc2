"""The app behaves as it does without the middleware, whatever fails in measuring."""

from __future__ import annotations

import copy
import gc
import pickle
import tempfile
import weakref
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import RequestFactory

from tachikoma_metrics.middleware import MetricsMiddleware
from tests import views
from tests.http.recorded import instrumentation_errors, requests, total
from tests.http.servers import BODY


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
    assert instrumentation_errors() >= 1


@pytest.mark.parametrize("response", [None, object()])
def test_an_object_that_is_no_response_is_no_instrumentation_error(response: Any):
    answer = MetricsMiddleware(lambda request: response)(RequestFactory().get("/"))

    assert answer is response
    assert requests() == {("GET", "<unmatched>", "500"): 1}
    assert instrumentation_errors() == 0


def test_a_request_whose_labels_cannot_be_read_is_counted():
    request = RequestFactory().get("/")
    request.resolver_match = object()  # type: ignore[assignment]

    answer: Any = MetricsMiddleware(lambda request: HttpResponse("fine"))(request)

    assert answer.content == b"fine"
    assert requests() == {("GET", "<unmatched>", "200"): 1}
    assert instrumentation_errors() == 1


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


def test_a_request_is_released_with_its_response():
    request = RequestFactory().get("/")
    reference = weakref.ref(request)

    gc.disable()
    try:
        MetricsMiddleware(lambda request: HttpResponse())(request)
        del request
        assert reference() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("charset", ["utf-8", "latin-1", "utf-16"])
def test_chunks_of_any_type_are_sent_unchanged(charset: str):
    def stream(request: HttpRequest) -> StreamingHttpResponse:
        chunks = ["größe", b"raw", memoryview(b"view"), 7, None, bytearray(b"array")]
        return StreamingHttpResponse(chunks, content_type=f"text/plain; charset={charset}")

    request = RequestFactory().get("/")
    without = b"".join(stream(request))
    answer: Any = MetricsMiddleware(stream)(request)

    assert b"".join(answer) == without
    assert total("http_response_size_bytes_sum", "<unmatched>") == len(without)


def test_the_chunks_of_a_stream_are_not_read_ahead():
    read = []

    def body() -> Iterator[bytes]:
        for chunk in views.CHUNKS:
            read.append(chunk)
            yield chunk

    answer: Any = MetricsMiddleware(lambda request: StreamingHttpResponse(body()))(
        RequestFactory().get("/")
    )
    assert read == []
    next(iter(answer))
    assert read == [views.CHUNKS[0]]
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


def test_a_stream_closes_its_temporary_file():
    with tempfile.TemporaryFile() as body:
        body.write(BODY)
        body.seek(0)
        response = StreamingHttpResponse(body)
        answer: Any = MetricsMiddleware(lambda request: response)(RequestFactory().get("/"))
        assert b"".join(answer) == BODY
        answer.close()

        assert body.closed
