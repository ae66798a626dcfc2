from __future__ import annotations

import multiprocessing
import time

from django.http import HttpRequest, HttpResponse

from kiosk.metrics import sell


def front(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Papers.")


def broken(request: HttpRequest) -> HttpResponse:
    return HttpResponse("Sold out.", status=500)


def slow(request: HttpRequest) -> HttpResponse:
    """Be at work long enough for something to happen meanwhile."""
    time.sleep(0.05)
    return HttpResponse("Papers, at last.")


def paper(request: HttpRequest, title: str) -> HttpResponse:
    """Sell a paper whose title is a label."""
    sell(title)
    return HttpResponse(title)


def pool(request: HttpRequest) -> HttpResponse:
    """Sell papers in processes of a pool, each of which ends with the request."""
    # Not in a with block, whose end sends SIGTERM: the children have the server's handler for it.
    workers = multiprocessing.get_context("fork").Pool(2)
    workers.map(sell, ["pool"] * 6, chunksize=1)
    workers.close()
    workers.join()
    return HttpResponse("Papers, carried by several.")


def deliver(request: HttpRequest) -> HttpResponse:
    """Have a worker sell a paper."""
    # Celery is not imported by servers that have nothing to do with it: they start sooner.
    from kiosk import tasks

    tasks.deliver.delay()
    return HttpResponse("Later.")
