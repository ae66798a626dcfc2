"""Requests as a WSGI server and an ASGI server make them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.test import RequestFactory

from tests import views

METRICS_MIDDLEWARE = "tachikoma_metrics.middleware.MetricsMiddleware"
BODY = b"".join(views.CHUNKS)
"""What the streams of ``tests.views`` send."""

reads_ahead = pytest.mark.filterwarnings("ignore:StreamingHttpResponse must consume")


def serve(url: str, **extra: Any) -> Any:
    """Return the response that a WSGI server gets."""
    environ = {**RequestFactory().get(url).META, **extra}
    handler: Any = WSGIHandler()
    return handler(environ, lambda *args: None)


async def call_asgi(
    url: str, before_message: Callable[[int], Any] = lambda number: None, **scope: Any
) -> list[dict[str, Any]]:
    """Serve one request as an ASGI server does; return the messages that the app sends."""
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
