from __future__ import annotations

import contextlib

from django.core.cache import cache, caches
from django.db import DatabaseError, connections
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse

from shop.models import Order, Parcel

MISTAKES = {
    "IntegrityError": "INSERT INTO shop_order (id, number) VALUES (1, NULL)",
    "OperationalError": "SELECT * FROM no_such_table",
}
"""A statement for each class of error."""


def home(request: HttpRequest) -> HttpResponse:
    """Render a template."""
    return TemplateResponse(request, "home.html", {"what": "a shop"})


def orders(request: HttpRequest) -> HttpResponse:
    """Insert, update and delete a row of each model."""
    for model in (Order, Parcel):
        row = model.objects.create()
        row.save()
        row.delete()
    return HttpResponse("one of each")


def archive(request: HttpRequest) -> HttpResponse:
    """Ask the other database."""
    with connections["archive"].cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("nothing there")


def mistakes(request: HttpRequest) -> HttpResponse:
    """Make each mistake, in the database ``default``."""
    for statement in MISTAKES.values():
        with contextlib.suppress(DatabaseError), connections["default"].cursor() as cursor:
            cursor.execute(statement)
    return HttpResponse("sorry")


def cached(request: HttpRequest) -> HttpResponse:
    """Look up a key that is there, one that is not, and one in a cache that does not answer."""
    cache.set("known", 1)
    cache.get("known")
    cache.get("unknown")
    with contextlib.suppress(ConnectionError):
        caches["down"].get("known")
    return HttpResponse("found one")


def upload(request: HttpRequest) -> HttpResponse:
    """Take a body."""
    return HttpResponse(str(len(request.body)))


def stream(request: HttpRequest) -> StreamingHttpResponse:
    """Send a body in parts."""
    return StreamingHttpResponse(iter([b"a", b"b"]))


def desk(request: HttpRequest, status: int) -> HttpResponse:
    """Answer with a status, or raise what becomes it."""
    if status == 404:
        raise Http404
    if status == 500:
        raise ValueError("failed on purpose")
    return HttpResponse(status=status)
