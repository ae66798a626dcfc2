"""Views that use almost no CPU."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

_BODY = b'{"mission": {"id": 41, "title": "Find the puppet master"}}'


def mission(request: HttpRequest, number: int = 0) -> HttpResponse:
    """Return a few bytes."""
    return HttpResponse(_BODY, content_type="application/json")


async def async_mission(request: HttpRequest, number: int = 0) -> HttpResponse:
    """Return a few bytes."""
    return HttpResponse(_BODY, content_type="application/json")
