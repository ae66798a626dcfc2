from __future__ import annotations

import contextlib
import gc
import os
import sys
import time
from pathlib import Path

from django.core.cache import cache
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse

from depot import executions, metrics, models


def plain(request: HttpRequest) -> HttpResponse:
    """Say who answers."""
    return HttpResponse(str(os.getpid()))


def traced(request: HttpRequest) -> HttpResponse:
    """Tell the trace of the request, after as many milliseconds as it asks for."""
    # Which only sites that are traced have.
    from opentelemetry import trace

    time.sleep(int(request.GET.get("milliseconds", "0")) / 1000)
    context = trace.get_current_span().get_span_context()
    return HttpResponse(f"{os.getpid()} {context.trace_id:032x} {context.span_id:016x}")


def wait(request: HttpRequest) -> HttpResponse:
    """Tell the file ``waiting`` who waits, and wait for it to go."""
    waiting = Path("waiting")
    waiting.write_text(str(os.getpid()))
    while waiting.exists():
        time.sleep(0.01)
    return HttpResponse(str(os.getpid()))


def ask(request: HttpRequest) -> HttpResponse:
    """Ask the database who asks it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
    return HttpResponse(str(os.getpid()))


def hold(request: HttpRequest) -> HttpResponse:
    """Hold a connection of the database until the file ``released`` exists."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
    while not Path("released").exists():
        time.sleep(0.01)
    return HttpResponse(str(os.getpid()))


async def block(request: HttpRequest) -> HttpResponse:
    """Block the event loop for half a second."""
    time.sleep(0.5)  # noqa: ASYNC251  # On purpose.
    return HttpResponse(str(os.getpid()))


def collect(request: HttpRequest) -> HttpResponse:
    """Run the garbage collector ten times."""
    for _ in range(10):
        gc.collect()
    return HttpResponse(str(os.getpid()))


def keep(request: HttpRequest, key: str) -> HttpResponse:
    """Have an entry of the cache, and tell what became of that."""
    try:
        cache.get_or_set(key, 1)
    except OSError as error:
        return HttpResponse(type(error).__name__)
    return HttpResponse(str(os.getpid()))


def imported(request: HttpRequest) -> HttpResponse:
    """Tell which modules the process has imported."""
    return HttpResponse(" ".join(sys.modules))


def burn(request: HttpRequest) -> HttpResponse:
    """Use half a second of a processor."""
    enough = time.process_time() + 0.5
    while time.process_time() < enough:
        sum(range(1000))
    return HttpResponse(str(os.getpid()))


def sell(request: HttpRequest, seller: str) -> HttpResponse:
    """Sell one thing."""
    models.visits.inc()
    metrics.sell(seller)
    return HttpResponse("sold")


def deliver(request: HttpRequest) -> HttpResponse:
    """Leave a delivery to the worker, by name: its module stays unknown here."""
    # It takes longer to import than all the rest, and most processes never need it.
    from depot.celery import app

    app.send_task("depot.tasks.deliver")
    return HttpResponse("soon")


def execute(request: HttpRequest) -> HttpResponse:
    """Execute something here."""
    executions.execute()
    return HttpResponse(str(os.getpid()))


def leave(request: HttpRequest, task: str) -> HttpResponse:
    """Leave a task to the worker, by name."""
    from depot.celery import app

    app.send_task(f"depot.tasks.{task}")
    return HttpResponse("soon")


def store(request: HttpRequest, shelf: int = 0, box: str = "") -> HttpResponse:
    """Store something, unless the client wants that to fail."""
    if "fail" in request.GET:
        raise RuntimeError("intended")
    return HttpResponse("stored")


def look_up(request: HttpRequest) -> HttpResponse:
    """Ask the database, for something that it does not have if the client wants that."""
    table = "no_such_table" if "fail" in request.GET else "sqlite_master"
    with contextlib.suppress(DatabaseError), connection.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {table}")
    return HttpResponse(str(os.getpid()))


def send(request: HttpRequest, kind: str, count: int) -> HttpResponse:
    """Send so many tasks of a kind to the worker of ``django.tasks``."""
    # Which only Django 6.0 and later, or its backport, has.
    from depot import errands

    for _ in range(count):
        errands.send(kind)
    return HttpResponse("soon")
