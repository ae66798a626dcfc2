from __future__ import annotations

import asyncio
import copy
import functools
import gc
import gzip
import pickle
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import httpx
import pytest
import requests
from django.test import override_settings

from tachikoma_metrics import track_backend_request
from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.http import dropped_bodies
from tachikoma_metrics.testing import sample_value, samples
from tests.backends import _base_client
from tests.origins import Answer, Origin

try:
    import httpx2
except ImportError:
    KINDS: list[ModuleType] = [httpx]
else:
    KINDS = [httpx, httpx2]

CHAT = "/v1/chat/completions"
IN_PROGRESS = {"EXTRA_METRICS": ["backend_requests_in_progress"]}

# Each client would make a context anew, which takes longer than most tests.
ALIKE: dict[str, Any] = {"trust_env": False, "verify": ssl.create_default_context()}

each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def values(name: str, label: str) -> dict[str, float]:
    """Return the samples of a family by one of their labels."""
    return {dict(labels)[label]: v for (n, labels), v in samples().items() if n == name and v}


def counted() -> dict[str, float]:
    return values("backend_requests_total", "endpoint")


def timed() -> float:
    return sum(values("backend_request_duration_seconds_count", "backend").values())


def seconds() -> float:
    return sum(values("backend_request_duration_seconds_sum", "backend").values())


def errors() -> dict[str, float]:
    return values("backend_errors_total", "error_type")


def faults() -> float:
    return sum(v for (name, _), v in samples().items() if name == "tachikoma_metrics_errors_total")


def in_progress() -> float | None:
    return sample_value("backend_requests_in_progress")


@pytest.fixture(autouse=True)
def _nothing_stays_behind() -> Iterator[None]:
    with override_settings(TACHIKOMA_METRICS=IN_PROGRESS):
        yield
        gc.collect()
        dropped_bodies.finish_dropped()
        assert in_progress() in (0, None)
        assert faults() == 0


@pytest.fixture
def origin() -> Iterator[Origin]:
    with Origin().running() as origin:
        yield origin


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield instrument_client(session, "search")


def client_of(kind: ModuleType, **kwargs: Any) -> Any:
    return instrument_client(kind.Client(**ALIKE, **kwargs), backend="openai")


def async_client_of(kind: ModuleType, **kwargs: Any) -> Any:
    return instrument_client(kind.AsyncClient(**ALIKE, **kwargs), backend="openai")


# --- one record per attempt -------------------------------------------------


@each_kind
def test_a_request_is_counted_and_timed(kind: ModuleType, origin: Origin):
    with client_of(kind) as client:
        response = client.post(origin.url + CHAT, json={})

    assert response.json() == {}
    assert sample_value("backend_requests_total", backend="openai", endpoint=CHAT) == 1
    assert timed() == 1
    assert errors() == {}


@each_kind
async def test_an_async_request_is_counted_and_timed(kind: ModuleType, origin: Origin):
    async with async_client_of(kind) as client:
        response = await client.post(origin.url + CHAT, json={})

    assert response.json() == {}
    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {})


def test_a_request_of_requests_is_counted_and_timed(session: requests.Session, origin: Origin):
    response = session.post(origin.url + CHAT, json={})

    assert response.json() == {}
    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {})


def test_an_answer_that_came_with_its_body_is_counted_and_timed():
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=[]))
    with client_of(httpx, transport=transport) as client:
        client.get("http://backend/v1/models")

    assert (counted(), timed()) == ({"/v1/models": 1}, 1)


@each_kind
@pytest.mark.parametrize(
    ("status", "error"),
    [(429, "rate_limit"), (500, "server_error"), (529, "overloaded"), (404, "not_found")],
)
def test_a_status_of_failure_is_an_error(kind: ModuleType, origin: Origin, status, error):
    origin.answers += [Answer(status), Answer(200)]
    with client_of(kind) as client:
        client.get(origin.url + CHAT)
        client.get(origin.url + CHAT)

    assert (counted(), timed(), errors()) == ({CHAT: 2}, 2, {error: 1})


def test_redirects_are_requests_of_their_own(session: requests.Session, origin: Origin):
    origin.answers.append(Answer(307, headers={"Location": "/v1/models"}))

    session.get(origin.url + CHAT)

    assert counted() == {CHAT: 1, "/v1/models": 1}


# --- streams ----------------------------------------------------------------


@each_kind
def test_a_stream_is_timed_to_its_last_byte(kind: ModuleType):
    def chunks() -> Iterator[bytes]:
        yield b"one"
        time.sleep(0.05)
        yield b"two"

    transport = kind.MockTransport(lambda request: kind.Response(200, content=chunks()))
    client = client_of(kind, transport=transport)
    with client, client.stream("GET", "http://backend" + CHAT) as response:
        assert (counted(), in_progress()) == ({}, 1)
        assert list(response.iter_raw()) == [b"one", b"two"]
        assert counted() == {CHAT: 1}

    assert seconds() >= 0.05


@each_kind
async def test_an_async_stream_is_timed_to_its_last_byte(kind: ModuleType):
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0.05)
        yield b"two"

    transport = kind.MockTransport(lambda request: kind.Response(200, content=chunks()))
    client = async_client_of(kind, transport=transport)
    async with client, client.stream("GET", "http://backend" + CHAT) as response:
        assert (counted(), in_progress()) == ({}, 1)
        assert [chunk async for chunk in response.aiter_raw()] == [b"one", b"two"]

    assert counted() == {CHAT: 1}
    assert seconds() >= 0.05


@each_kind
def test_a_stream_that_is_closed_half_way_is_no_error(kind: ModuleType, origin: Origin):
    origin.answers.append(Answer(chunks=[b"one"], hangs=True))
    with client_of(kind) as client, client.stream("GET", origin.url + CHAT) as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"one"
        assert counted() == {}

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {})


@each_kind
def test_an_answer_that_is_never_read_is_timed_when_it_is_closed(kind: ModuleType, origin: Origin):
    origin.answers.append(Answer(429))
    with client_of(kind) as client, client.stream("GET", origin.url + CHAT):
        assert counted() == {}

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {"rate_limit": 1})


@each_kind
def test_an_answer_that_is_dropped_is_timed_until_then(kind: ModuleType):
    transport = kind.MockTransport(lambda request: kind.Response(200, content=iter([b"one"])))
    client = client_of(kind, transport=transport)
    response = client.send(client.build_request("GET", "http://backend" + CHAT), stream=True)
    del response
    gc.collect()
    time.sleep(1)

    with track_backend_request("other", "/"):
        pass

    assert counted() == {CHAT: 1, "/": 1}
    assert seconds() < 1


def test_an_answer_of_requests_that_is_let_go_is_timed(session: requests.Session, origin: Origin):
    response = session.get(origin.url + CHAT, stream=True)
    response.raw.read(1)
    response.close()
    # Its connection, of which there is more to read, is good for nothing else.
    session.get(origin.url + CHAT, stream=True).raw.release_conn()

    assert (counted(), timed()) == ({CHAT: 2}, 2)


@pytest.mark.parametrize(
    "read",
    [
        lambda response: b"".join(response.iter_content(2)),
        lambda response: b"".join(response.iter_lines()),
        lambda response: response.content,
        lambda response: response.raw.read(),
        lambda response: response.raw.read(9) + response.raw.read(9),
        lambda response: b"".join(response.raw),
    ],
    ids=["chunks", "lines", "content", "read", "parts", "raw"],
)
def test_a_stream_of_requests_is_timed_to_its_last_byte(session, origin: Origin, read):
    origin.answers.append(Answer(chunks=[b"on", b"e\n"]))

    response = session.get(origin.url + CHAT, stream=True)
    assert (counted(), in_progress()) == ({}, 1)

    assert read(response).strip() == b"one"
    assert (counted(), errors()) == ({CHAT: 1}, {})
    response.close()
    assert timed() == 1


NOTHING = {
    "read(0)": lambda raw: raw.read(0),
    "read(amt=0)": lambda raw: raw.read(amt=0),
    "read(0, decode_content=True)": lambda raw: raw.read(0, decode_content=True),
}


@pytest.mark.parametrize("read_nothing", NOTHING.values(), ids=NOTHING)
def test_reading_nothing_is_not_the_end_of_a_body(session, origin: Origin, read_nothing):
    origin.answers.append(Answer(chunks=[b"one"], breaks=True))
    response = session.get(origin.url + CHAT, stream=True)

    assert read_nothing(response.raw) == b""
    assert response.raw.read(1) == b"o"
    assert read_nothing(response.raw) == b""
    assert (counted(), in_progress()) == ({}, 1)
    with pytest.raises(Exception, match="IncompleteRead"):
        response.raw.read()
    assert (counted(), errors()) == ({CHAT: 1}, {"protocol": 1})


def test_reading_everything_is_the_end_of_a_body(session, origin: Origin):
    response = session.get(origin.url + CHAT, stream=True)

    assert response.raw.read(None) == b"{}"
    assert counted() == {CHAT: 1}
    response.close()


def test_a_read_may_be_of_bytes_that_only_the_decoder_needs(session, origin: Origin):
    text = b"".join(b"%d," % number for number in range(1000))
    headers = {"Content-Encoding": "gzip"}
    origin.answers.append(Answer(chunks=[gzip.compress(text)], breaks=True, headers=headers))
    response = session.get(origin.url + CHAT, stream=True)

    response.raw.read(1, decode_content=True)
    assert counted() == {}
    with pytest.raises(Exception, match="IncompleteRead"):
        response.raw.read(decode_content=True)
    assert (counted(), errors()) == ({CHAT: 1}, {"protocol": 1})


@each_kind
def test_an_empty_chunk_is_not_the_end_of_a_body(kind: ModuleType):
    def chunks() -> Iterator[bytes]:
        yield b""
        assert counted() == {}
        yield b"one"
        yield b""
        raise kind.ReadError("")

    transport = kind.MockTransport(lambda request: kind.Response(200, content=chunks()))
    client = client_of(kind, transport=transport)
    with client, client.stream("GET", "http://backend" + CHAT) as response:
        received = response.iter_raw()
        assert next(received) == b"one"
        with pytest.raises(kind.ReadError):
            next(received)

    assert (counted(), errors()) == ({CHAT: 1}, {"connection": 1})


# --- failures ---------------------------------------------------------------


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@each_kind
def test_a_refused_connection_is_an_error(kind: ModuleType):
    with client_of(kind) as client, pytest.raises(kind.ConnectError):
        client.get(closed_port() + CHAT)

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {"connection": 1})


def test_a_refused_connection_of_requests_is_an_error(session: requests.Session):
    with pytest.raises(requests.ConnectionError):
        session.get(closed_port() + CHAT)

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {"connection": 1})


@each_kind
def test_a_hang_in_mid_body_is_a_timeout(kind: ModuleType, origin: Origin):
    origin.answers.append(Answer(chunks=[b"one"], hangs=True))
    with client_of(kind, timeout=0.1) as client, pytest.raises(kind.ReadTimeout):
        client.get(origin.url + CHAT)

    assert (counted(), errors()) == ({CHAT: 1}, {"timeout": 1})
    assert seconds() >= 0.1


@pytest.mark.parametrize("is_read", [True, False])
def test_a_hang_in_mid_body_of_requests_is_a_timeout(session, origin: Origin, is_read: bool):
    origin.answers.append(Answer(chunks=[b"one"], hangs=True))
    response = session.get(origin.url + CHAT, stream=True, timeout=0.1)

    with pytest.raises(Exception, match="timed out"):
        response.raw.read() if is_read else response.content

    assert (counted(), errors()) == ({CHAT: 1}, {"timeout": 1})


@each_kind
def test_a_body_that_breaks_off_is_an_error(kind: ModuleType, origin: Origin):
    origin.answers.append(Answer(chunks=[b"one"], breaks=True))
    with client_of(kind) as client, pytest.raises(kind.RemoteProtocolError):
        client.get(origin.url + CHAT)

    assert (counted(), errors()) == ({CHAT: 1}, {"protocol": 1})


@each_kind
def test_a_status_tells_more_than_the_body_that_broke_off(kind: ModuleType, origin: Origin):
    origin.answers.append(Answer(500, chunks=[b"one"], breaks=True))
    with client_of(kind) as client, pytest.raises(kind.RemoteProtocolError):
        client.get(origin.url + CHAT)

    assert errors() == {"server_error": 1}


@each_kind
@pytest.mark.parametrize("chunks", [[], [b"one"]])
async def test_a_cancelled_request_is_counted_as_one(kind: ModuleType, origin: Origin, chunks):
    origin.answers.append(Answer(chunks=chunks, hangs=True))
    async with async_client_of(kind) as client:
        task = asyncio.create_task(client.get(origin.url + CHAT))
        await asyncio.to_thread(origin.asked.wait, 10)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {"cancelled": 1})


@each_kind
async def test_a_request_cancelled_before_its_answer_is_counted_as_one(kind: ModuleType):
    async def hang(request: Any) -> Any:
        await asyncio.sleep(30)

    async with async_client_of(kind, transport=kind.MockTransport(hang)) as client:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.get("http://backend" + CHAT), 0.05)

    assert errors() == {"cancelled": 1}


def test_an_exception_passes_through_as_the_object_it_is():
    error = ValueError("broken")

    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    client = client_of(httpx, transport=httpx.MockTransport(fail))
    with pytest.raises(ValueError, match="broken") as raised:
        client.get("http://backend" + CHAT)

    assert raised.value is error
    assert errors() == {"other": 1}


def test_an_answer_of_no_known_shape_passes_through():
    class Odd:
        def handle_request(self, request: Any) -> str:
            return "answer"

    client = instrument_client(Holder(_transport=Odd()), "odd")

    assert client._transport.handle_request(httpx.Request("GET", "http://backend/")) == "answer"
    assert counted() == {"other": 1}
    assert sample_value("tachikoma_metrics_errors_total", source="backend") == 1
    _forget_faults()


def test_a_request_of_no_known_shape_passes_through():
    class Odd:
        def handle_request(self, request: Any) -> Any:
            return httpx.Response(200)

    client = instrument_client(Holder(_transport=Odd()), "odd")

    assert client._transport.handle_request(None).status_code == 200
    assert counted() == {"other": 1}
    _forget_faults()


def _forget_faults() -> None:
    from tachikoma_metrics import testing

    assert faults() == 1
    testing.reset()


# --- the client stays what it is --------------------------------------------


class Holder(SimpleNamespace):
    pass


@each_kind
def test_proxies_and_mounts_stay(kind: ModuleType, monkeypatch: pytest.MonkeyPatch, origin: Origin):
    monkeypatch.setenv("HTTP_PROXY", origin.url)
    monkeypatch.setenv("NO_PROXY", "inside")
    mock = kind.MockTransport(lambda request: kind.Response(200))
    with kind.Client(mounts={"http://mounted": mock}) as client:
        before = list(client._mounts)
        bypass = [key for key, transport in client._mounts.items() if transport is None]
        instrument_client(client, "openai")
        client.get("http://elsewhere.test" + CHAT)
        client.get("http://mounted/v1/models")

        assert list(client._mounts) == before
        assert [key for key, value in client._mounts.items() if value is None] == bypass

    assert origin.seen[0][0] == "http://elsewhere.test" + CHAT
    assert counted() == {CHAT: 1, "/v1/models": 1}


@each_kind
def test_a_client_that_is_instrumented_again_counts_once(kind: ModuleType, origin: Origin):
    with client_of(kind) as client:
        assert instrument_client(client, "openai") is client
        client.get(origin.url + CHAT)

    assert counted() == {CHAT: 1}


def test_a_session_that_is_instrumented_again_counts_once(session, origin: Origin):
    assert instrument_client(session, "search") is session
    session.get(origin.url + CHAT)

    assert counted() == {CHAT: 1}


@each_kind
def test_a_transport_is_still_what_it_was(kind: ModuleType):
    with client_of(kind) as client:
        transport = client._transport

        assert type(transport) is kind.HTTPTransport
        assert instrument_client(client, "other")._transport is transport
        assert client.__class__ is kind.Client
        assert repr(type(client)) == repr(kind.Client)


def test_a_stand_in_is_as_its_original():
    original: Any = httpx.HTTPTransport(verify=ALIKE["verify"])
    transport: Any = instrument_client(Holder(_transport=original), "b")._transport

    assert issubclass(transport.__class__, httpx.HTTPTransport)
    assert transport._pool is original._pool
    transport.colour = "blue"
    assert vars(original)["colour"] == "blue"
    del transport.colour
    assert not hasattr(transport, "colour")
    assert transport == original
    assert repr(transport) == repr(original)
    assert hash(transport) == hash(original)
    assert not hasattr(transport, "handle_async_request")


@each_kind
async def test_a_client_closes_and_enters_its_transport(kind: ModuleType):
    done: list[str] = []

    class Transport(kind.BaseTransport, kind.AsyncBaseTransport):  # type: ignore[misc, name-defined]  # Of either.
        def __enter__(self):
            done.append("enter")
            return self

        def __exit__(self, *raised):
            done.append("exit")

        async def __aenter__(self):
            done.append("aenter")
            return self

        async def __aexit__(self, *raised):
            done.append("aexit")

    transport = Transport()
    with client_of(kind, transport=transport) as client, client._transport as entered:
        assert entered is client._transport
    async with async_client_of(kind, transport=transport) as client, client._transport as entered:
        assert entered is client._transport

    assert done == ["enter", "enter", "exit", "exit", "aenter", "aenter", "aexit", "aexit"]


@each_kind
def test_a_closed_client_says_what_it_always_said(kind: ModuleType):
    client = kind.Client()
    client.close()
    instrument_client(client, "openai")

    with pytest.raises(RuntimeError, match="closed"):
        client.get("http://backend" + CHAT)

    assert counted() == {}


def test_a_session_is_copied_and_pickled_without_the_instrument(session, origin: Origin):
    session.get_adapter("http://").max_retries = 3
    for other in (pickle.loads(pickle.dumps(session)), copy.deepcopy(session)):  # noqa: S301  # Our own.
        assert type(other.get_adapter("http://")) is requests.adapters.HTTPAdapter
        assert other.get_adapter("http://").max_retries == 3
        with other:
            other.get(origin.url + CHAT)

    assert counted() == {}


def test_an_adapter_without_a_urllib3_body_is_measured():
    class Adapter(requests.adapters.BaseAdapter):
        def __init__(self, raw: Any) -> None:
            super().__init__()
            self.raw = raw

        def send(self, request, *args, **kwargs):
            response = requests.Response()
            response.status_code, response.raw = 200, self.raw
            response.url, response.request = request.url, request
            return response

        def close(self):
            pass

    import io

    for raw, content in ((io.BytesIO(b"one"), b"one"), (None, None)):
        with requests.Session() as session:
            session.mount("odd://", Adapter(raw))
            instrument_client(session, "odd")
            with session.get("odd://backend/v1/models", stream=True) as response:
                assert response.content == content

    assert (counted(), timed()) == ({"/v1/models": 2}, 2)


# --- which clients ----------------------------------------------------------


def test_a_client_is_found_in_what_holds_it(origin: Origin):
    with httpx.Client(trust_env=False) as client:
        holder = Holder(_client=Holder(client=client), base_url=httpx.URL(origin.url + "/gate/v9"))

        assert instrument_client(holder, backend="openai") is holder
        client.get(origin.url + "/gate/v9/chat/completions")

    assert counted() == {CHAT: 1}


@each_kind
def test_a_base_url_may_be_set_later(kind: ModuleType, origin: Origin):
    with client_of(kind) as client:
        for path in ("/one/v9/", "/two/v9/"):
            client.base_url = origin.url + path
            client.get("chat/completions")
        client.get(origin.url + "/one/v9/chat/completions")

    assert counted() == {CHAT: 2, "other": 1}


@each_kind
async def test_a_base_url_of_an_async_client_may_be_set_later(kind: ModuleType, origin: Origin):
    async with async_client_of(kind) as client:
        client.base_url = origin.url + "/one/v9/"
        await client.get("chat/completions")

    assert counted() == {CHAT: 1}


def test_a_session_may_have_a_base_url(origin: Origin):
    class BaseUrlSession(requests.Session):
        base_url = ""

        def request(self, method, url, *args, **kwargs):
            return super().request(method, self.base_url + url, *args, **kwargs)

    with instrument_client(BaseUrlSession(), "search") as session:
        session.trust_env = False
        session.base_url = origin.url + "/gate/v9"
        session.get("/chat/completions")

    assert counted() == {CHAT: 1}


def test_the_base_url_of_the_client_that_sends_is_the_one_that_counts(origin: Origin):
    with client_of(httpx) as http:
        _base_client.Client(http, origin.url + "/one/v9").send("/chat/completions")
        _base_client.Client(http, origin.url + "/v1/threads/1").send("/messages")
        _base_client.Client(http, origin.url).send("/v1/threads/1/messages")

    assert counted() == {CHAT: 1, "/v1/messages": 1, "/v1/threads/:id/messages": 1}


def test_a_client_that_waits_for_the_request_of_another_has_no_say(origin: Origin):
    with httpx.Client(**ALIKE) as other, client_of(httpx) as http:
        waiting = _base_client.Client(other, origin.url + "/v1/threads/1")
        waiting.wait(lambda: http.get(origin.url + "/v1/threads/1/messages"))

    assert counted() == {"/v1/threads/:id/messages": 1}


async def test_both_clients_of_a_holder_are_measured(origin: Origin):
    with httpx.Client(**ALIKE) as sync:
        async with httpx.AsyncClient(**ALIKE) as other:
            resource = Holder(_client=Holder(_client=sync, base_url=httpx.URL(origin.url + "/a/")))
            root = Holder(_client=other, base_url=httpx.URL(origin.url + "/b/"))
            model = Holder(
                client=resource, async_client=Holder(_client=root), root_async_client=root
            )

            assert instrument_client(model, "openai") is model
            await asyncio.to_thread(sync.get, origin.url + "/a/chat/completions")
            await other.get(origin.url + "/b/chat/completions")

    assert counted() == {CHAT: 2}


@pytest.mark.parametrize("name", ["async_client", "_async_client", "_aclient", "root_async_client"])
def test_a_holder_of_a_client_of_an_unknown_kind_is_refused(name: str, origin: Origin):
    with httpx.Client(**ALIKE) as client:
        holder = Holder(client=client, **{name: object()})
        with pytest.raises(TypeError, match=f"{name}, a object.*track_backend_request"):
            instrument_client(holder, "openai")
        client.get(origin.url + CHAT)

    assert counted() == {}


def test_a_client_that_is_made_when_it_is_asked_for_is_measured(origin: Origin):
    class Lazy:
        @functools.cached_property
        def _client(self) -> Any:
            return httpx.Client(**ALIKE)

        @functools.cached_property
        def _async_client(self) -> Any:
            raise RuntimeError("There is no key for it.")

    lazy = instrument_client(Lazy(), "openai")
    with lazy._client as client:
        client.get(origin.url + CHAT)

    assert counted() == {CHAT: 1}


def test_a_backend_may_have_endpoints_of_its_own(origin: Origin):
    with httpx.Client(trust_env=False) as client:
        instrument_client(client, "search", endpoints=["/items/:number"])
        client.get(origin.url + "/items/7?q=1")
        client.get(origin.url + "/parts/7")

    assert counted() == {"/items/:number": 1, "other": 1}


@pytest.mark.parametrize(
    "client", [None, object(), "openai", httpx.Client, Holder(_client=Holder()), httpx, 7]
)
def test_an_unknown_client_is_refused(client: object):
    with pytest.raises(TypeError, match=r"should be a client of httpx.*track_backend_request"):
        instrument_client(client, "openai")


def test_a_client_that_holds_itself_is_refused():
    client = Holder()
    client._client = client

    with pytest.raises(TypeError, match="got Holder"):
        instrument_client(client, "openai")


@override_settings(TACHIKOMA_METRICS={"ENABLED": False})
def test_nothing_is_measured_where_metrics_are_disabled(origin: Origin):
    with client_of(httpx) as client:
        assert client.get(origin.url + CHAT).status_code == 200

    with override_settings(TACHIKOMA_METRICS=IN_PROGRESS):
        assert counted() == {}


def test_importing_needs_no_settings_and_no_sdk():
    code = (
        "import sys, tachikoma_metrics.backends.clients\n"
        "found = {'httpx', 'httpx2', 'requests', 'openai', 'anthropic'} & set(sys.modules)\n"
        "assert not found, found\n"
    )

    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_threads_lose_no_request(origin: Origin):
    def work() -> None:
        for _ in range(20):
            client.get(origin.url + CHAT)

    with client_of(httpx) as client:
        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert (counted(), timed(), len(origin.seen)) == ({CHAT: 100}, 100, 100)


# --- track_backend_request --------------------------------------------------


def test_a_block_is_a_request():
    with track_backend_request("search", "/query"):
        assert in_progress() == 1

    assert sample_value("backend_requests_total", backend="search", endpoint="/query") == 1
    assert (timed(), errors()) == (1, {})


async def test_what_a_block_raises_is_an_error_and_passes_through():
    with pytest.raises(ConnectionResetError), track_backend_request("search", "/query"):
        raise ConnectionResetError
    with pytest.raises(TimeoutError):
        async with track_backend_request("search", "/query"):
            raise TimeoutError

    assert (counted(), errors()) == ({"/query": 2}, {"connection": 1, "timeout": 1})


def test_a_status_may_be_told_in_a_block():
    with track_backend_request("search", "/query") as attempt:
        attempt.answer(429)
    with track_backend_request("search", "/query") as attempt:
        attempt.answer(200)

    assert errors() == {"rate_limit": 1}


async def test_each_call_of_a_function_is_a_request():
    seen: list[float | None] = []

    @track_backend_request("search", "/query")
    def ask(number: int) -> int:
        return number

    @track_backend_request("search", "/query")
    async def ask_async(number: int) -> int:
        await asyncio.sleep(0)
        seen.append(in_progress())
        return number

    assert ask(1) == 1
    assert list(await asyncio.gather(ask_async(2), ask_async(3))) == [2, 3]
    assert seen[0] == 2
    assert (counted(), timed()) == ({"/query": 3}, 3)


def test_a_status_that_is_none_does_not_raise():
    with track_backend_request("search", "/query") as attempt:
        attempt.answer("nonsense")  # type: ignore[arg-type]

    assert counted() == {"/query": 1}
    _forget_faults()


# --- clients whose class cannot be changed -----------------------------------


class Final:
    """Let nobody derive a class from a class that has this one among its bases."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "Final" in {kind.__name__ for base in cls.__bases__ for kind in base.__mro__[1:]}:
            raise TypeError("This class is final.")
        super().__init_subclass__(**kwargs)


def answer_or_refuse(kind: ModuleType) -> Callable[[Any], Any]:
    def handle(request: Any) -> Any:
        if request.url.path == "/refuse":
            raise kind.ConnectError("refused")
        return kind.Response(200, text="answered")

    return handle


@each_kind
def test_a_client_of_a_final_class_is_measured(kind: ModuleType):
    client_class: Any = type("FinalClient", (Final, kind.Client), {})
    transport = kind.MockTransport(answer_or_refuse(kind))
    client = instrument_client(client_class(transport=transport, **ALIKE), backend="openai")

    assert client.get("http://backend" + CHAT).text == "answered"
    with pytest.raises(kind.ConnectError):
        client.get("http://backend/refuse")

    assert type(client) is client_class
    assert counted() == {CHAT: 1, "other": 1}
    assert (timed(), errors()) == (2, {"connection": 1})


@each_kind
async def test_an_async_client_of_a_final_class_is_measured(kind: ModuleType):
    client_class: Any = type("FinalClient", (Final, kind.AsyncClient), {})
    transport = kind.MockTransport(answer_or_refuse(kind))
    client = instrument_client(client_class(transport=transport, **ALIKE), backend="openai")

    assert (await client.get("http://backend" + CHAT)).text == "answered"
    with pytest.raises(kind.ConnectError):
        await client.get("http://backend/refuse")

    assert type(client) is client_class
    assert counted() == {CHAT: 1, "other": 1}
    assert (timed(), errors()) == (2, {"connection": 1})


def test_a_session_of_a_final_class_is_measured(origin: Origin):
    session_class: Any = type("FinalSession", (Final, requests.Session), {})
    with instrument_client(session_class(), backend="search", endpoints=["/found"]) as session:
        session.trust_env = False

        assert session.get(origin.url + "/found").status_code == 200
        with pytest.raises(requests.ConnectionError):
            session.get("http://127.0.0.1:1/found")

    assert type(session) is session_class
    assert counted() == {"/found": 2}
    assert (timed(), errors()) == (2, {"connection": 1})
