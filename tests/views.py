from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import AsyncIterator, Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

from django.http import (
    FileResponse,
    Http404,
    HttpRequest,
    HttpResponse,
    StreamingHttpResponse,
)

CHUNKS = (b"one ", b"two ", b"three")


def hello(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    return HttpResponse("hello")


async def async_hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError("failed on purpose")


async def async_fail(request: HttpRequest) -> HttpResponse:
    raise ValueError("failed on purpose")


def missing(request: HttpRequest) -> HttpResponse:
    raise Http404


async def leave(request: HttpRequest) -> HttpResponse:
    raise asyncio.CancelledError


def upload(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{len(request.body)} bytes")


def chunks() -> Iterator[bytes]:
    yield from CHUNKS


async def async_chunks() -> AsyncIterator[bytes]:
    for chunk in CHUNKS:
        yield chunk


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(chunks())


async def async_stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(async_chunks())


def broken_stream(request: HttpRequest) -> StreamingHttpResponse:
    def broken() -> Iterator[bytes]:
        yield b"one "
        raise OSError("broken on purpose")

    return StreamingHttpResponse(broken())


async def broken_async_stream(request: HttpRequest) -> StreamingHttpResponse:
    async def broken() -> AsyncIterator[bytes]:
        yield b"one "
        raise OSError("broken on purpose")

    return StreamingHttpResponse(broken())


def file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))


def piped_file(request: HttpRequest) -> FileResponse:
    reader, writer = os.pipe()
    os.write(writer, b"x" * 500)
    os.close(writer)
    return FileResponse(os.fdopen(reader, "rb"))


def not_modified(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(chunks(), status=304)


def teapot(request: HttpRequest) -> HttpResponse:
    response = HttpResponse("short and stout")
    response.status_code = HTTPStatus.IM_A_TEAPOT
    return response


def no_content(request: HttpRequest) -> HttpResponse:
    return HttpResponse(status=204)


def tenant(request: HttpRequest) -> str:
    return request.headers.get("X-Tenant", "none")


def failing_label(request: HttpRequest) -> str:
    raise LookupError("no tenant")


def no_label(request: HttpRequest) -> None:
    return None


async def coroutine_label(request: HttpRequest) -> str:
    return ""


class CoroutineObject:
    async def __call__(self, request: HttpRequest) -> str:
        return ""


coroutine_object = CoroutineObject()


def of_two(request: HttpRequest, other: object) -> bool:
    return True


def of_any(*args: object, **kwargs: object) -> bool:
    return True


class Plain:
    def __init__(self, request: HttpRequest) -> None: ...


@functools.wraps(of_two)
def given_another(request: HttpRequest) -> bool:
    return of_two(request, None)


curried = functools.partial(of_two, other=None)


def as_delete(get_response: Any) -> Any:
    """Make a middleware that overrides the method of a request."""

    def middleware(request: HttpRequest) -> HttpResponse:
        request.method = "DELETE"
        response: HttpResponse = get_response(request)
        return response

    return middleware


def serve_files(get_response: Any) -> Any:
    """Make a middleware that serves the files below some paths, as WhiteNoise does."""
    files = {"css/site.css": 200, "css/part.css": 206, "css/known.css": 304, "css/": 302}

    def middleware(request: HttpRequest) -> HttpResponse:
        _, _, name = request.path_info.lstrip("/").partition("/")
        if name in files:
            return HttpResponse("body {}" if files[name] < 300 else "", status=files[name])
        response: HttpResponse = get_response(request)
        return response

    return middleware


def reject(get_response: Any) -> Any:
    """Make a middleware that responds instead of the view."""

    def middleware(request: HttpRequest) -> HttpResponse:
        return HttpResponse("closed", status=503)

    return middleware
