from __future__ import annotations

from django.http import HttpRequest


def may_read(request: HttpRequest) -> bool:
    return request.headers.get("X-Shop") == "ours"


def plan_of(request: HttpRequest) -> str:
    return request.headers.get("X-Plan", "none")


def exemplar() -> dict[str, str] | None:
    return None
