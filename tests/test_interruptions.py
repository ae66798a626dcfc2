"""Exceptions from outside that arrive while the package's code runs reach the application."""

from __future__ import annotations

import functools
import io
import itertools
import json
import operator
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
from django.core.cache import caches
from django.db import connection
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.test import AsyncRequestFactory, RequestFactory, override_settings
from prometheus_client import CollectorRegistry, Metric

from tachikoma_metrics import METRICS, Timer, record_execution, track_execution
from tachikoma_metrics.asgi import WebSocketMetricsMiddleware
from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.catalogue.labels import route_template
from tachikoma_metrics.exposition import TEXT
from tachikoma_metrics.exposition.parse import parse_text
from tachikoma_metrics.http import dropped_bodies
from tachikoma_metrics.interruptions import is_interruption
from tachikoma_metrics.middleware import MetricsMiddleware
from tachikoma_metrics.testing import sample_value
from tests.exemplars import TRACEPARENT
from tests.interrupted import NEVER, Sender, by_signal, by_thread, interrupt, raising_handler


class Limit(Exception):
    """An exception like any other, as Celery's SoftTimeLimitExceeded is."""


# --- what is interrupted ----------------------------------------------------


def _run(coroutine: Coroutine[Any, Any, object]) -> object:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    finally:
        coroutine.close()
    raise AssertionError("It waits.")


def _hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


async def _async_hello(request: HttpRequest) -> HttpResponse:
    return HttpResponse("hello")


def _missing(request: HttpRequest) -> HttpResponse:
    raise LookupError("on purpose")


def _stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"one ", b"two"]))


async def _async_stream(request: HttpRequest) -> StreamingHttpResponse:
    return _stream(request)


def _request() -> None:
    MetricsMiddleware(_hello)(RequestFactory().get("/"))


def _request_with_queue_time() -> None:
    start = {"X-Request-Start": f"t={time.time():.3f}"}
    MetricsMiddleware(_hello)(RequestFactory().get("/", headers=start))


def _async_request() -> None:
    _run(MetricsMiddleware(_async_hello)(RequestFactory().get("/")))  # type: ignore[arg-type]


def _failing_request(**headers: str) -> None:
    try:
        MetricsMiddleware(_missing)(RequestFactory().get("/", headers=headers))
    except LookupError:
        return


def _request_with_exemplar() -> None:
    # A request that fails always gets one.
    _failing_request(traceparent=TRACEPARENT)


def _streamed_request() -> None:
    response: Any = MetricsMiddleware(_stream)(RequestFactory().get("/"))
    b"".join(response)
    # Django swallows what is raised while it closes a response.
    sys.settrace(None)
    response.close()


def _read_ahead_request() -> None:
    request = AsyncRequestFactory().get("/")
    response: Any = _run(MetricsMiddleware(_async_stream)(request))  # type: ignore[arg-type]
    read = list(response)
    assert [bytes(chunk)[:4] for chunk in read]
    sys.settrace(None)
    response.close()


def _preview(request: HttpRequest) -> HttpResponse:
    return MetricsMiddleware(_hello)(RequestFactory().get("/preview"))  # type: ignore[return-value]


def _request_with_another_inside() -> None:
    MetricsMiddleware(_preview)(RequestFactory().get("/"))


def _query() -> None:
    connection.cursor().execute("SELECT 1")


def _hit() -> None:
    caches["default"].get("there")


def _get_or_set() -> None:
    caches["default"].get_or_set("there", 5)


def _execution() -> None:
    with track_execution("openai", "gpt-5"):
        pass


@track_execution("openai", "gpt-5")
async def _async_execution() -> None:
    pass


async def _echo(scope: Any, receive: Any, send: Any) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        accepts = message["type"] == "websocket.connect"
        await send({"type": "websocket.accept" if accepts else "websocket.send", "text": ""})


def _conversation() -> None:
    said = iter(["connect", "receive", "disconnect"])

    async def receive() -> dict[str, str]:
        return {"type": f"websocket.{next(said)}", "text": ""}

    async def send(message: object) -> None:
        pass

    _run(WebSocketMetricsMiddleware(_echo)({"type": "websocket"}, receive, send))


def _backend(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/refuse":
        raise httpx.ConnectError("refused")
    return httpx.Response(429, text="slowly")


_client = instrument_client(httpx.Client(transport=httpx.MockTransport(_backend)), "openai")


def _attempt() -> None:
    _client.get("http://backend/v1/models")


def _failing_attempt() -> None:
    try:
        _client.get("http://backend/refuse")
    except httpx.ConnectError:
        return


_transport = httpx.MockTransport(_backend)
_async_client = instrument_client(httpx.AsyncClient(transport=_transport), "openai")


def _async_attempt() -> None:
    _run(_async_client.get("http://backend/v1/models"))


class _Holder:
    """A client of an unknown class, whose transport is instrumented instead."""

    def __init__(self) -> None:
        self._transport = httpx.MockTransport(_backend)


_holder = instrument_client(_Holder(), "openai")


def _attempt_by_transport() -> None:
    request = httpx.Request("GET", "http://backend/v1/models")
    _holder._transport.handle_request(request).close()


class _Adapter(requests.adapters.BaseAdapter):
    def send(self, request: Any, *args: Any, **kwargs: Any) -> requests.Response:
        response = requests.Response()
        response.status_code, response.raw, response.request = 200, io.BytesIO(b"{}"), request
        return response

    def close(self) -> None:
        pass


_session = instrument_client(requests.Session(), "openai")
_session.trust_env = False
_session.mount("http://backend/", _Adapter())


def _attempt_by_session() -> None:
    with _session.get("http://backend/v1/models"):
        pass


def _increment() -> None:
    METRICS.cache_hits_total.inc()


_STEP = 7 if os.environ.get("HYPOTHESIS_PROFILE") == "few" else 1
"""One of so many instructions is interrupted, beginning with one that the tests' seed chooses."""

EXEMPLAR = "a request with an exemplar"
WORK: dict[str, tuple[Callable[[], object], str]] = {
    "a request": (_request, "http_requests_total"),
    "a request with a queue time": (_request_with_queue_time, "http_requests_total"),
    "an async request": (_async_request, "http_requests_total"),
    "a request that fails": (_failing_request, "http_requests_total"),
    EXEMPLAR: (_request_with_exemplar, "http_requests_total"),
    "a stream": (_streamed_request, "http_requests_total"),
    "a stream that is read ahead": (_read_ahead_request, "http_requests_total"),
    "a request inside another": (_request_with_another_inside, "http_requests_total"),
    "a query": (_query, "db_queries_total"),
    "a hit": (_hit, "cache_hits_total"),
    "get_or_set": (_get_or_set, "cache_hits_total"),
    "an execution": (_execution, "executions_total"),
    "an async execution": (lambda: _run(_async_execution()), "executions_total"),
    "a conversation": (_conversation, "ws_messages_received_total"),
    "a request to a backend": (_attempt, "backend_requests_total"),
    "a failing request to a backend": (_failing_attempt, "backend_requests_total"),
    "an async request to a backend": (_async_attempt, "backend_requests_total"),
    "a request by a session": (_attempt_by_session, "backend_requests_total"),
    "a request by a transport": (_attempt_by_transport, "backend_requests_total"),
    "an increment": (_increment, "cache_hits_total"),
}
EXTRA_METRICS = ["backend_requests_in_progress", "http_request_queue_seconds"]
IN_PROGRESS = {
    "http_requests_in_flight",
    "executions_in_progress",
    "ws_connections_current",
    "backend_requests_in_progress",
}


def _totals(counter: str) -> tuple[float, dict[str, float]]:
    """Return what was counted so far, and what is in progress, as a scrape shows them."""
    dropped_bodies.finish_dropped()
    page = parse_text(METRICS.expose(TEXT, frozenset({counter, *IN_PROGRESS})))
    in_progress = {name: value for (name, _), value in page.items() if name in IN_PROGRESS}
    return sum(value for (name, _), value in page.items() if name == counter), in_progress


@pytest.fixture
def _measures_all(what: str) -> Any:
    caches["default"].set("there", 1)
    exemplars = "auto" if what == EXEMPLAR else None
    declared = {"EXTRA_METRICS": EXTRA_METRICS, "EXEMPLARS": exemplars}
    with override_settings(TACHIKOMA_METRICS=declared):
        yield
    caches["default"].clear()


@pytest.mark.django_db
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
@pytest.mark.usefixtures("_measures_all")
@pytest.mark.parametrize("sender", [by_signal, by_thread])
@pytest.mark.parametrize("what", WORK)
def test_an_exception_from_outside_reaches_the_app_and_leaves_nothing_in_progress(
    what: str, sender: Sender
):
    work, counter = WORK[what]
    for _ in range(2):
        interrupt(work, NEVER, sender, Limit)
    before, _ = _totals(counter)
    with raising_handler(Limit) as raised:
        for place in itertools.count(random.randrange(_STEP), _STEP):  # noqa: S311  # No secret.
            error, was_sent = interrupt(work, place, sender, Limit)
            if not was_sent:
                break
            is_the_same = error is raised[-1] if sender is by_signal else type(error) is Limit
            # A reference to the exception would keep the interrupted objects alive.
            error = None
            raised.clear()
            work()
            after, in_progress = _totals(counter)

            assert is_the_same, place
            assert not any(in_progress.values()), (place, in_progress)
            assert before + 1 <= after <= before + 2, place
            before = after
    assert place > 0


# --- what is an interruption ------------------------------------------------


def _caught(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("It raises nothing.")


class Handlers:
    def method(self, number, frame):
        raise Limit

    def __call__(self, number, frame):
        raise Limit


def _of_any_number(*arguments):
    raise Limit


def _with_more(more, number, frame):
    raise Limit


def _that_calls(number, frame):
    _raise_limit()


def _raise_limit():
    raise Limit


def _for_nothing(number, frame=None):
    int("no number")


HANDLERS = [
    Handlers().method,
    Handlers(),
    _of_any_number,
    functools.partial(_with_more, "more"),
    _that_calls,
    _for_nothing,
]


@pytest.mark.parametrize("handler", HANDLERS, ids=map(str, range(len(HANDLERS))))
def test_an_exception_of_any_signal_handler_is_an_interruption(handler: Any):
    before = signal.signal(signal.SIGUSR1, handler)
    try:
        error = _caught(lambda: signal.raise_signal(signal.SIGUSR1))
    finally:
        signal.signal(signal.SIGUSR1, before)

    assert is_interruption(error)


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_exception_that_ends_the_process_is_an_interruption(kind: type[BaseException]):
    assert is_interruption(kind())


ORDINARY: dict[str, Callable[[], object]] = {
    "raise": _raise_limit,
    "a key": lambda: os.environ["MISSING"],
    "a number": lambda: int("no number"),
    "a place": lambda: [][0],
    "an end": lambda: next(iter([])),
    "an attribute": lambda: operator.attrgetter("missing")(None),
    "the package's own": lambda: route_template(5),
    "JSON": lambda: json.loads("no JSON"),
    "a file": lambda: Path("/missing/file").read_text(),
    "Django's": lambda: caches["missing"],
}


@pytest.mark.parametrize("call", ORDINARY.values(), ids=ORDINARY)
def test_an_ordinary_exception_is_no_interruption(call: Callable[[], object]):
    assert not is_interruption(_caught(call))


def test_an_exception_that_was_never_raised_is_no_interruption():
    assert not is_interruption(ValueError("never raised"))


# --- guards -----------------------------------------------------------------


def failing_label(request: HttpRequest) -> str:
    raise Limit("raised by the label")


def interrupted_label(request: HttpRequest) -> str:
    signal.raise_signal(signal.SIGUSR1)
    return ""


def _labelled(function: str) -> dict[str, object]:
    return {
        "EXTRA_LABELS": {"tenant": f"tests.test_interruptions.{function}"},
        "LABELS": {"http_requests_total": ["method", "tenant"]},
    }


@override_settings(TACHIKOMA_METRICS=_labelled("failing_label"))
def test_a_label_that_raises_is_counted_and_does_not_reach_the_application():
    _request()

    assert sample_value("tachikoma_metrics_errors_total", source="extra_label") == 1
    assert sample_value("http_requests_total", method="GET", tenant="") == 1


@override_settings(TACHIKOMA_METRICS=_labelled("interrupted_label"))
def test_a_label_that_is_interrupted_is_no_instrumentation_error():
    with raising_handler(Limit) as raised:
        assert _caught(_request) is raised[-1]

    assert sample_value("tachikoma_metrics_errors_total", source="extra_label") is None
    assert sample_value("http_requests_in_flight") == 0


def test_a_timer_passes_on_an_interruption_of_its_callback():
    timer = Timer(lambda seconds: signal.raise_signal(signal.SIGUSR1))

    with raising_handler(TimeoutError) as raised:
        assert _caught(timer.stop) is raised[-1]


def test_a_value_whose_text_is_interrupted_is_passed_on():
    class Model:
        def __str__(self) -> str:
            signal.raise_signal(signal.SIGUSR1)
            return "gpt-5"

    with raising_handler(ValueError) as raised:
        call = functools.partial(record_execution, "openai", Model(), "success", 1.0, (1, 1))  # type: ignore[arg-type]
        assert _caught(call) is raised[-1]


def test_a_collector_that_is_interrupted_affects_no_other_scrape(registry: CollectorRegistry):
    class Collector:
        def describe(self) -> list[Metric]:
            return []

        def collect(self) -> list[Metric]:
            signal.raise_signal(signal.SIGUSR1)
            return []

    collector: Any = Collector()
    registry.register(collector)
    with raising_handler(Limit) as raised:
        # So that it is called in this thread, as the collectors of the package are.
        Collector.__module__ = "tachikoma_metrics.tests"
        assert _caught(METRICS.encode) is raised[-1]

    registry.unregister(collector)
    assert sample_value("http_requests_in_flight") == 0
