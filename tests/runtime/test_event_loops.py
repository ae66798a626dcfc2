"""The lag of event loops that serve."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import time
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client, override_settings

from tachikoma_metrics.runtime import event_loops
from tachikoma_metrics.runtime.event_loops import probe_serving_loop
from tachikoma_metrics.testing import sample_value
from tests.websocket.connections import CONNECT, DISCONNECT, Server, echo

NAME = "asgi_event_loop_lag_seconds"
ON: Any = {"EXTRA_METRICS": [NAME]}
LAG = override_settings(TACHIKOMA_METRICS=ON)


def probes() -> float:
    return sample_value(f"{NAME}_count") or 0.0


def slow_probes() -> float:
    return probes() - (sample_value(f"{NAME}_bucket", le="0.25") or 0.0)


def probed() -> list[asyncio.AbstractEventLoop]:
    """Return the loops with a timer; asgiref keeps references to some that are closed."""
    return [loop for loop in event_loops._probed if not loop.is_closed()]


@pytest.fixture(autouse=True)
def _lag_is_on() -> Iterator[None]:
    with LAG:
        yield


def synchronous(get_response: Any) -> Any:
    """Return a middleware that cannot be awaited, so that the one before it is not, either."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response: HttpResponse = get_response(request)
        return response

    return middleware


async def test_the_loop_of_a_request_is_probed_every_100_ms(async_client: AsyncClient):
    began_at = time.monotonic()
    await async_client.get("/hello/")
    await async_client.get("/hello/")
    await asyncio.sleep(1)

    # A busy machine runs fewer, and sleeps for longer.
    assert 2 <= probes() <= (time.monotonic() - began_at) / 0.1


async def test_a_loop_that_is_blocked_lags(async_client: AsyncClient):
    await async_client.get("/hello/")
    await asyncio.sleep(0.15)
    before = slow_probes()
    time.sleep(0.5)  # noqa: ASYNC251  # It blocks the loop on purpose.
    await asyncio.sleep(0.15)

    assert slow_probes() == before + 1
    assert (sample_value(f"{NAME}_sum") or 0.0) >= 0.4


async def test_a_middleware_that_is_not_asynchronous_changes_nothing(async_client: AsyncClient):
    middleware = ["tachikoma_metrics.middleware.MetricsMiddleware", f"{__name__}.synchronous"]
    with override_settings(MIDDLEWARE=middleware):
        await async_client.get("/hello/")
        await asyncio.sleep(0.35)

    assert probes() >= 1


async def test_the_loop_of_a_websocket_is_probed():
    await Server(CONNECT, DISCONNECT).serve(echo)
    await asyncio.sleep(0.35)

    assert probes() >= 1


async def test_many_threads_start_one_timer():
    began_at = time.monotonic()
    await asyncio.gather(
        *(sync_to_async(probe_serving_loop, thread_sensitive=False)() for _ in range(8))
    )
    await asyncio.sleep(0.5)

    assert 1 <= probes() <= (time.monotonic() - began_at) / 0.1


def test_under_wsgi_no_loop_is_probed(client: Client):
    client.get("/hello/")
    client.get("/async-hello/")
    client.get("/hello/")

    assert probed() == []
    assert sample_value("tachikoma_metrics_errors_total", source="event_loop") is None


def test_a_timer_ends_with_its_loop_and_does_not_keep_it_alive():
    async def serve() -> weakref.ref[Any]:
        probe_serving_loop()
        await asyncio.sleep(0.15)
        return weakref.ref(asyncio.get_running_loop())

    began_at = time.monotonic()
    loop = asyncio.run(serve())
    gc.collect()

    assert time.monotonic() - began_at < 2
    assert loop() is None
    assert probes() == 1
    time.sleep(0.15)
    assert probes() == 1


def test_a_loop_that_runs_in_a_thread_of_asgiref_ends_as_well():
    async def serve() -> None:
        probe_serving_loop()

    async_to_sync(serve)()
    gc.collect()

    assert probed() == []


async def test_the_context_of_the_request_is_released():
    class Value:
        pass

    variable: contextvars.ContextVar[Value] = contextvars.ContextVar("variable")

    async def request() -> weakref.ref[Value]:
        value = Value()
        variable.set(value)
        probe_serving_loop()
        return weakref.ref(value)

    released = await asyncio.create_task(request())
    await asyncio.sleep(0.15)
    gc.collect()

    assert probes() >= 1
    assert released() is None


async def test_it_can_be_switched_off_and_on_again(async_client: AsyncClient):
    await async_client.get("/hello/")
    await asyncio.sleep(0.15)
    with override_settings(TACHIKOMA_METRICS={}):
        assert sample_value(f"{NAME}_count") is None
        await asyncio.sleep(0.25)
        await async_client.get("/hello/")
        assert probed() == []
    before = probes()
    await asyncio.sleep(0.25)
    assert probes() == before

    await async_client.get("/hello/")
    await asyncio.sleep(0.25)
    assert probes() > before


async def test_an_error_in_a_probe_is_counted_and_ends_the_timer(monkeypatch: pytest.MonkeyPatch):
    def fail(*_: object) -> None:
        raise RuntimeError("no timer")

    monkeypatch.setattr(event_loops, "_start", fail)
    event_loops._probe(asyncio.get_running_loop(), 0.0)

    assert sample_value("tachikoma_metrics_errors_total", source="event_loop") == 1


async def test_an_error_before_the_first_probe_is_counted(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(event_loops, "_serving_loop", lambda: 1 / 0)
    probe_serving_loop()

    assert sample_value("tachikoma_metrics_errors_total", source="event_loop") == 1
