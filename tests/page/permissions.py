"""Functions for ``PERMISSION``."""

from __future__ import annotations

from django.http import HttpRequest


def permits(request: HttpRequest) -> bool:
    return request.headers.get("X-Who") == "the major"


def raises(request: HttpRequest) -> bool:
    raise RuntimeError("failed on purpose")


def returns_yes(request: HttpRequest) -> str:
    return "yes"


async def permits_later(request: HttpRequest) -> bool:
    return True


not_callable = "a string"
