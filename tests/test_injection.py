"""Whichever function of the package raises, the app gets the same results as without it.

Each function is made to raise in turn, while the app handles requests, streams, queries, cache
lookups and LLM calls; their results have to be the same, and the metrics endpoint has to respond.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import importlib
import inspect
import logging
import pkgutil
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any
from unittest import mock

import httpx
import pytest
from django.core.cache import caches
from django.db import DatabaseError, connection
from django.test import AsyncClient, Client, override_settings

import tachikoma_metrics
from missions.models import Mission
from tachikoma_metrics import record_file_change, track_execution, update_business_metrics
from tachikoma_metrics.asgi import WebSocketMetricsMiddleware
from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.middleware import MetricsMiddleware
from tachikoma_metrics.runtime import event_loops
from tests.exemplars import TRACEPARENT

pytestmark = [pytest.mark.django_db, pytest.mark.filterwarnings("ignore")]

LEFT_OUT = (
    # Their functions are called manually, at start-up, or in another process.
    "apps", "backends.api_paths", "celery", "checks", "doctor", "management", "migrations",
    "models", "page.worker_server", "tasks", "testing", "urls",
)  # fmt: skip

STAND_AROUND_THE_APP = {
    # These call the app's code, or return its objects: no caller of the package is above them to
    # catch what they raise. Each of them catches the exceptions of what it calls.
    "websocket.connection:Connection.__init__",
    "websocket.connection:Connection.finish",
    "websocket.connection:Connection.receive",
    "websocket.connection:Connection.send",
    "asgi:WebSocketMetricsMiddleware.__call__",
    "runtime.event_loops:probe_serving_loop",
    "websocket.connection:is_measured",
    "backends.attempts:Attempt.__init__",
    "backends.attempts:Attempt.discard",
    "backends.attempts:Attempt.end",
    "backends.attempts:Attempt.start",
    "recording.tracked_block:TrackedBlock.__call__",
    "recording.tracked_block:TrackedBlock.__enter__",
    "recording.tracked_block:TrackedBlock.__exit__",
    "recording.tracked_block:TrackedBlock.__init__",
    "cache.backends:CacheInstrument.begin_use",
    "cache.backends:CacheInstrument.record_size",
    "database.queries:MeasuringWrapper.measure",
    "database.connections:_owner_before",
    "database.errors:DatabaseErrorWrapper.__exit__",
    "database.errors:DatabaseErrorWrapper._count",
    "http.exceptions:_record",
    "database.execute_wrappers:MeasuredWrappers.__reversed__",
    "llm.executions:Execution.__init__",
    "llm.executions:Execution.usage",
    "llm.executions:track_execution.__init__",
    "llm.executions:track_execution.begin",
    "cache.calls:Call.end",
    "cache.calls:Call.result_for_caller",
    "cache.calls:Get.result_for_caller",
    "cache.lookups:_start",
    "cache.lookups:_finish",
    "cache.lookups:_record_error",
    "cache.lookups:call",
    "cache.lookups:get",
    "cache.lookups:is_simple",
    "http.measurement:Measurement.complete",
    "http.measurement:Measurement.end",
    "http.measurement:Measurement.follow",
    "http.measurement:Measurement.add_chunk",
    "http.measurement:Measurement.start",
    "middleware:MetricsMiddleware.__call__",
    "middleware:MetricsMiddleware.__init__",
    "middleware:MetricsMiddleware._answer",
    "middleware:begin",
    "middleware:report_setup_errors",
    "registry.events:Event.begin",
    "registry.events:Event.record",
    "registry.events:Event.record_valid",
    "registry.events:Event._record_with_exemplar",
    "store.progress:Progress.__init__",
    "http.streams:MeasuredStream.__next__",
    "http.streams:as_bytes",
    "llm.tokens:Tokens.__init__",
    "recording.subclasses:imitating",
    "backends.backend:Backend.attempt",
    "backends.object_proxies:MeasuredCall.__call__",
    "backends.object_proxies:MeasuredCall.__init__",
    "backends.object_proxies:InnerMethod.__get__",
    "backends.object_proxies:Method.__get__",
    "backends.client_classes:RequestTransport.__init__",
    "backends.client_classes:RequestTransport.handle_request",
    "backends.transports:TransportCall.__init__",
    "backends.transports:TransportCall._leave",
    "backends.transports:TransportCall.answer",
    "backends.transports:TransportCall.discard",
    "backends.transports:TransportCall.fail",
    "backends.transports:TransportCall.start",
    "backends.bodies:follow_httpx",
}
REJECT_SCRAPES = (
    "page.access:",
    "page.addresses:is_in",
    "page.addresses:read_address",
    "page.networks:",
)
"""Where the access rule cannot be evaluated, every scrape is rejected."""

STAND_AROUND_THE_ENDPOINT = {
    "conf:config",
    "middleware:MetricsMiddleware.__call__",
    "middleware:MetricsMiddleware.__init__",
    "middleware:begin",
    "middleware:report_setup_errors",
    "page.response:_answer",
    "page.access:rejection",
    "page.response:respond",
    "registry.metrics:Metrics.last_resort",
    "registry.metrics:Metrics.expose",
}


def functions() -> Iterator[Any]:
    """Yield a parameter for each function of the package: its module or class, and its name."""
    for found in pkgutil.walk_packages(tachikoma_metrics.__path__, "tachikoma_metrics."):
        short = found.name.removeprefix("tachikoma_metrics.")
        if short.startswith(LEFT_OUT):
            continue
        module = importlib.import_module(found.name)
        for owner, names in owners(module):
            prefix = "" if owner is module else f"{owner.__name__}."
            for name in names:
                yield pytest.param(owner, name, id=f"{short}:{prefix}{name}")


def owners(module: Any) -> Iterator[tuple[Any, list[str]]]:
    """Yield the module and its classes, with the names of their functions."""
    own = {k: v for k, v in vars(module).items() if _module_of(v) == module.__name__}
    yield module, [name for name, value in own.items() if inspect.isfunction(value)]
    for value in own.values():
        if inspect.isclass(value):
            # The tests themselves read the class of objects.
            names = [name for name in vars(value) if name != "__class__"]
            yield value, [name for name in names if _can_be_called(vars(value)[name])]


def _module_of(value: Any) -> Any:
    return getattr(value, "__module__", None)


def _can_be_called(member: object) -> bool:
    return inspect.isfunction(member) or isinstance(member, property)


def life(client: Client, names: Iterable[str]) -> list[object]:
    """Use the app in the ways with these names, and return all results."""
    return [STEPS[name](client) for name in names]


def queued(client: Client) -> bytes:
    """Return the response to a request that waited in a queue."""
    return client.get("/hello/", headers={"X-Request-Start": f"t={time.time()}"}).content


def looked_up(client: Client) -> list[object]:
    """Return what lookups in a cache return."""
    cache = caches["default"]
    cache.set("zero", 0)
    seen = [cache.get("zero"), cache.get("gone", "default"), cache.get_many(["zero", "gone"])]
    seen += [cache.get_or_set("made", lambda: 5), "zero" in cache, cache.incr("zero")]
    # A lock cannot be pickled.
    seen.append(failed(lambda: cache.set("lock", threading.Lock())))
    cache.clear()
    return seen


def executed(client: Client) -> None:
    """Record an execution and what came of it."""
    with track_execution("openai", "model") as execution:
        execution.usage({"usage": {"prompt_tokens": 1, "completion_tokens": 2}})
    record_file_change("create", "applied")


async def async_answer() -> bytes:
    """Return the response to a request in an event loop that runs until it is probed."""
    response = await ASYNC_CLIENT.get("/async-hello/")
    await asyncio.sleep(0.005)
    return response.content


ASYNC_CLIENT = AsyncClient(raise_request_exception=False)


async def conversation() -> list[Any]:
    """Return the messages that a WebSocket client is sent."""
    received = iter(
        [
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": '{"type": "greeting"}'},
            {"type": "websocket.receive", "bytes": b"bytes"},
            {"type": "websocket.disconnect", "code": 1000},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        sent.append(message)

    await SOCKET({"type": "websocket", "asgi": {"version": "3.0"}}, receive, send)
    return sent


async def echo(scope: Any, receive: Any, send: Any) -> None:
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept"})
        else:
            await send({**message, "type": "websocket.send"})


SOCKET: Any = WebSocketMetricsMiddleware(echo)


def backend_answers() -> list[object]:
    """Return the results of two requests to an upstream API."""
    refusal = ""
    try:
        BACKEND.get("http://backend/refuse")
    except httpx.ConnectError as error:
        refusal = str(error)
    response = BACKEND.post("http://backend/v1/chat/completions", json={})
    return [response.status_code, response.text, refusal]


def _backend(request: httpx.Request) -> httpx.Response:
    if request.url.path == "/refuse":
        raise httpx.ConnectError("refused")
    return httpx.Response(429, text="slowly")


BACKEND = instrument_client(httpx.Client(transport=httpx.MockTransport(_backend)), backend="openai")


def answer(path: str, client: Client) -> tuple[int, bytes]:
    response: Any = client.get(path)
    body = b"".join(response.streaming_content) if response.streaming else response.content
    response.close()
    return response.status_code, body if response.status_code == 200 else b""


def failed(call: Callable[[], object]) -> str:
    try:
        call()
    except (DatabaseError, TypeError) as error:
        return type(error).__name__
    return ""


STEPS: dict[str, Callable[[Client], object]] = {
    **{
        path: functools.partial(answer, path)
        for path in ("/hello/", "/stream/", "/missing/", "/fail/", "/no-content/")
    },
    "body": lambda client: client.post("/hello/", b"x", content_type="text/plain").content,
    "query": lambda _: list(Mission.objects.values_list("name", flat=True)),
    "bad query": lambda _: failed(lambda: connection.cursor().execute("SELECT nothing")),
    "queue": queued,
    "trace": lambda client: client.get("/hello/", headers={"traceparent": TRACEPARENT}).content,
    "asynchronous": lambda _: asyncio.run(async_answer()),
    "garbage": lambda _: gc.collect(0) * 0,
    "cache": looked_up,
    "execution": executed,
    "business": lambda _: update_business_metrics(),
    "conversation": lambda _: asyncio.run(conversation()),
    "backend": lambda _: backend_answers(),
}
SCRAPE = "scrape"


@pytest.fixture(autouse=True)
def _probes_follow_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_loops, "_SECONDS_BETWEEN_PROBES", 0.001)


@pytest.fixture(autouse=True)
def _tracebacks_stay_unwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spare the texts of the thousands of tracebacks that are logged, which nothing reads."""
    monkeypatch.setattr(logging.Formatter, "formatException", lambda _, info: repr(info[1]))


@pytest.fixture(scope="module")
def client_that_sees_500() -> Client:
    return Client(raise_request_exception=False)


@dataclass
class Usual:
    """What each step returns and calls while nothing raises."""

    results: dict[str, object] = field(default_factory=dict)
    called: dict[str, set[CodeType]] = field(default_factory=dict)

    def steps_of(self, member: object) -> list[str]:
        """Return the names of the steps that may call a function."""
        return [name for name, called in self.called.items() if may_be_called(member, called)]


@pytest.fixture(scope="module")
def usual() -> Usual:
    """Return what the first test notes, and all read."""
    return Usual()


@contextmanager
def noting(called: set[CodeType]) -> Iterator[None]:
    """Note the functions that run in the block, in any thread."""

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call":
            called.add(frame.f_code)

    before = sys.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield
    finally:
        sys.setprofile(before)
        threading.setprofile(None)


def may_be_called(member: object, called: set[CodeType]) -> bool:
    """Return whether a function may have been called."""
    function: Any = inspect.unwrap(member.fget if isinstance(member, property) else member)  # type: ignore[arg-type]
    code: CodeType = function.__code__
    # A call of these does not run their code.
    is_begun_later = code.co_flags & (
        inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
    )
    return bool(is_begun_later) or code in called


def raise_instead(name: str) -> Callable[..., Any]:
    def raising(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(f"{name} raises in this test")

    return raising


@contextmanager
def replaced(owner: Any, name: str) -> Iterator[None]:
    """Replace a function, also in the modules of its folder that import it by name."""
    raising = raise_instead(name)
    original = vars(owner)[name]
    with ExitStack() as stack:
        if isinstance(original, property):
            stack.enter_context(mock.patch.object(owner, name, property(raising)))
        else:
            for holder in (owner, *_importers(original, name)):
                stack.enter_context(mock.patch.object(holder, name, raising))
        yield


def _importers(function: Any, name: str) -> list[Any]:
    """Return the modules of the function's own folder that import it by name."""
    folder = function.__module__.rpartition(".")[0]
    if folder == tachikoma_metrics.__name__:
        return []
    modules = [module for key, module in sys.modules.items() if key.startswith(f"{folder}.")]
    return [module for module in modules if vars(module).get(name) is function]


def note_usual(usual: Usual, client: Client) -> None:
    """Note each step by itself, with nothing remembered of another, and a second time."""
    for name, step in STEPS.items():
        usual.called[name] = set()
        with measured(), noting(usual.called[name]):
            usual.results[name] = step(client)
            assert step(client) == usual.results[name]
    usual.called[SCRAPE] = set()
    with measured(), noting(usual.called[SCRAPE]):
        life(client, STEPS)
        usual.called[SCRAPE].clear()
        client.get("/metrics")
        client.get("/metrics")
    assert MetricsMiddleware.__call__.__code__ in usual.called["/hello/"]


def measured() -> override_settings:
    """Return settings that switch on what is measured of the steps."""
    declared: dict[str, object] = {
        "BUSINESS_METRICS": {"missions_total": {"model": "missions.Mission"}},
        "EXEMPLARS": "auto",
        "EXTRA_METRICS": [
            "http_request_queue_seconds",
            "asgi_event_loop_lag_seconds",
            "python_gc_pause_seconds",
        ],
    }
    return override_settings(TACHIKOMA_METRICS=declared)


@pytest.mark.parametrize(("owner", "name"), list(functions()))
def test_a_function_that_raises_does_not_affect_the_app_or_the_endpoint(
    owner: Any,
    name: str,
    client_that_sees_500: Client,
    usual: Usual,
    request: pytest.FixtureRequest,
):
    client, id = client_that_sees_500, request.node.callspec.id
    if usual.called and not usual.steps_of(vars(owner)[name]):
        return
    Mission.objects.create(name="Ghost")
    if not usual.called:
        note_usual(usual, client)
    steps = usual.steps_of(vars(owner)[name])
    # What a scrape shows is of all steps.
    used = list(STEPS) if SCRAPE in steps else steps
    with measured(), replaced(owner, name):
        if id not in STAND_AROUND_THE_APP:
            assert life(client, used) == [usual.results[step] for step in used]
        if id not in STAND_AROUND_THE_ENDPOINT:
            status = client.get("/metrics").status_code
            assert status == 200 or (status == 403 and id.startswith(REJECT_SCRAPES))
