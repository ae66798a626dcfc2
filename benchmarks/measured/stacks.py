"""A view with middleware: called directly, and by Django's two handlers."""

from __future__ import annotations

import asyncio
import io
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from asgiref.sync import ThreadSensitiveContext, async_to_sync, sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import resolve
from django.utils.module_loading import import_string

from benchmarks.measured.timing import Prepare, Work

_BODY = b'{"title": "The puppet master"}'
_HEADERS = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "Content-Length": str(len(_BODY)),
    "Content-Type": "application/json",
    "Host": "tachikoma.example",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64)",
    "X-Forwarded-For": "192.0.2.9",
    "X-Request-Id": "6f1c2f4e",
}


def direct(paths: Sequence[str], requests: int) -> Prepare:
    """Return work that calls the middleware around a view, and nothing else of Django.

    The requests are created and their routes resolved before the measurement.
    """
    handle = _chain(paths)

    def prepare() -> Work:
        ready = [_request() for _ in range(requests)]
        # A deque of length zero frees each response immediately, as a server does.
        return lambda: deque(map(handle, ready), maxlen=0)

    return prepare


def direct_async(loop: asyncio.AbstractEventLoop, paths: Sequence[str], requests: int) -> Prepare:
    """Return work that calls the middleware around an async view, and nothing else of Django."""
    handle = _async_chain(paths)

    async def drive(ready: list[HttpRequest]) -> None:
        # Django's handler creates one for each request, with a new thread.
        async with ThreadSensitiveContext():
            for request in ready:
                await handle(request)

    def prepare() -> Work:
        ready = [_request("/async/v1/missions/41/") for _ in range(requests)]
        return lambda: loop.run_until_complete(drive(ready))

    return prepare


def wsgi(paths: Sequence[str], requests: int) -> Prepare:
    """Return work that processes requests with Django's WSGI handler."""
    settings.MIDDLEWARE = list(paths)
    handler: Any = WSGIHandler()
    environ = _environ()

    def work() -> None:
        for _ in range(requests):
            response = handler(dict(environ), _start_response)
            b"".join(response)
            response.close()

    return lambda: work


def asgi(loop: asyncio.AbstractEventLoop, paths: Sequence[str], requests: int) -> Prepare:
    """Return work that processes requests with Django's ASGI handler, one after the other.

    It begins with the creation of the request and ends with the response: before and after that,
    the handler switches threads, which is the same for all variants and ten times the overhead.
    """
    settings.MIDDLEWARE = list(paths)
    handler: Any = ASGIHandler()

    async def drive() -> None:
        # Django's handler creates one for each request, with a new thread.
        async with ThreadSensitiveContext():
            for _ in range(requests):
                request, _ = handler.create_request(_scope(), io.BytesIO(_BODY))
                response = await handler.get_response_async(request)
                _require_ok(response.status_code)
                response.close()

    return lambda: lambda: loop.run_until_complete(drive())


def _chain(paths: Sequence[str]) -> Callable[[HttpRequest], HttpResponseBase]:
    hooks: list[Callable[..., Any]] = []

    # Django's handler calls the hooks of the middleware, then the view.
    def handle(request: HttpRequest) -> HttpResponseBase:
        match: Any = request.resolver_match
        for hook in hooks:
            hook(request, match.func, match.args, match.kwargs)
        response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
        return response

    outermost: Any = handle
    for path in reversed(paths):
        outermost = import_string(path)(outermost)
        if hasattr(outermost, "process_view"):
            hooks.insert(0, outermost.process_view)
    return outermost  # type: ignore[no-any-return]


def _async_chain(paths: Sequence[str]) -> Callable[[HttpRequest], Awaitable[HttpResponseBase]]:
    hooks: list[Callable[..., Awaitable[Any]]] = []

    async def handle(request: HttpRequest) -> HttpResponseBase:
        match: Any = request.resolver_match
        for hook in hooks:
            await hook(request, match.func, match.args, match.kwargs)
        response: HttpResponseBase = await match.func(request, *match.args, **match.kwargs)
        return response

    outermost: Any = handle
    for path in reversed(paths):
        middleware = import_string(path)
        # Django's handler adapts sync middleware and its hooks in the same way.
        if getattr(middleware, "async_capable", False):
            outermost = middleware(outermost)
        else:
            outermost = sync_to_async(middleware(async_to_sync(outermost)))
        if hasattr(outermost, "process_view"):
            hooks.insert(0, sync_to_async(outermost.process_view))
    return outermost  # type: ignore[no-any-return]


def _request(path: str = "/api/v1/missions/41/") -> HttpRequest:
    request = WSGIRequest({**_environ(), "PATH_INFO": path})
    request.resolver_match = resolve(request.path_info)
    return request


def _environ() -> dict[str, Any]:
    headers = {f"HTTP_{name.upper().replace('-', '_')}": text for name, text in _HEADERS.items()}
    headers["CONTENT_LENGTH"] = headers.pop("HTTP_CONTENT_LENGTH")
    headers["CONTENT_TYPE"] = headers.pop("HTTP_CONTENT_TYPE")
    return {
        **headers,
        "PATH_INFO": "/api/v1/missions/41/",
        "QUERY_STRING": "",
        "REMOTE_ADDR": "127.0.0.1",
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "tachikoma.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.input": io.BytesIO(_BODY),
        "wsgi.url_scheme": "http",
    }


def _start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
    _require_ok(int(status[:3]))


def _scope() -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/async/v1/missions/41/",
        "raw_path": b"/async/v1/missions/41/",
        "root_path": "",
        "query_string": b"",
        "headers": [(name.lower().encode(), text.encode()) for name, text in _HEADERS.items()],
        "client": ("127.0.0.1", 40_000),
        "server": ("127.0.0.1", 80),
    }


def _require_ok(status: int) -> None:
    if status != 200:
        raise RuntimeError(f"Unexpected status: {status}")
