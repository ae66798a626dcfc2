"""Requests for the metrics, from an address and with headers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, Client

from tachikoma_metrics.middleware import MetricsMiddleware

TOKEN = "a-token-that-is-hard-to-guess"
OTHER_TOKEN = "another-one-for-the-rotation"
FORWARDED = "x-forwarded-for"
BROWSER_HEADERS = {"accept-language": "en"}

Declare = Callable[..., None]


def scrape(peer: str | None = "127.0.0.1", **headers: str) -> Any:
    """Request the metrics from an address; None for a Unix socket, which has none."""
    environ: dict[str, Any] = {"REMOTE_ADDR": "" if peer is None else peer}
    return Client().get("/metrics", headers=headers, **environ)


async def scrape_asgi(peer: str | None, **headers: str) -> Any:
    """Request the metrics as ``scrape`` does, under ASGI."""

    async def view(request: HttpRequest) -> HttpResponse:
        raise AssertionError("The request reached the view.")

    request = AsyncRequestFactory().get("/metrics", headers=headers)
    request.META["REMOTE_ADDR"] = peer or ""
    return await MetricsMiddleware(view)(request)  # type: ignore[misc]  # Here an awaitable.
