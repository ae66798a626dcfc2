from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from types import ModuleType
from typing import Any

import httpx
import pytest
import requests

from tachikoma_metrics.backends import instrument_client
from tests.backends.measured_clients import (
    CHAT,
    CLIENT_OPTIONS,
    Holder,
    async_client_of,
    client_of,
    counted,
    each_library,
    errors,
    timed,
)
from tests.origins import Origin


@each_library
def test_proxies_and_mounts_are_kept(
    library: ModuleType, monkeypatch: pytest.MonkeyPatch, origin: Origin
):
    monkeypatch.setenv("HTTP_PROXY", origin.url)
    monkeypatch.setenv("NO_PROXY", "inside")
    mock = library.MockTransport(lambda request: library.Response(200))
    with library.Client(mounts={"http://mounted": mock}) as client:
        before = list(client._mounts)
        bypass = [key for key, transport in client._mounts.items() if transport is None]
        instrument_client(client, "openai")
        client.get("http://elsewhere.test" + CHAT)
        client.get("http://mounted/v1/models")

        assert list(client._mounts) == before
        assert [key for key, value in client._mounts.items() if value is None] == bypass

    assert origin.seen[0][0] == "http://elsewhere.test" + CHAT
    assert counted() == {CHAT: 1, "/v1/models": 1}


@each_library
def test_a_client_that_is_instrumented_again_counts_once(library: ModuleType, origin: Origin):
    with client_of(library) as client:
        assert instrument_client(client, "openai") is client
        client.get(origin.url + CHAT)

    assert counted() == {CHAT: 1}


def test_a_session_that_is_instrumented_again_counts_once(session, origin: Origin):
    assert instrument_client(session, "search") is session
    session.get(origin.url + CHAT)

    assert counted() == {CHAT: 1}


@each_library
def test_instrumenting_keeps_the_transport_and_the_visible_class(library: ModuleType):
    with client_of(library) as client:
        transport = client._transport

        assert type(transport) is library.HTTPTransport
        assert instrument_client(client, "other")._transport is transport
        assert client.__class__ is library.Client
        assert repr(type(client)) == repr(library.Client)


def test_a_wrapped_transport_behaves_like_the_original():
    original: Any = httpx.HTTPTransport(verify=CLIENT_OPTIONS["verify"])
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


@each_library
async def test_a_client_enters_and_closes_its_transport(library: ModuleType):
    done: list[str] = []

    class Transport(library.BaseTransport, library.AsyncBaseTransport):  # type: ignore[misc, name-defined]  # Of either library.
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
    with client_of(library, transport=transport) as client, client._transport as entered:
        assert entered is client._transport
    async with (
        async_client_of(library, transport=transport) as client,
        client._transport as entered,
    ):
        assert entered is client._transport

    assert done == ["enter", "enter", "exit", "exit", "aenter", "aenter", "aexit", "aexit"]


@each_library
def test_a_closed_client_raises_its_usual_error(library: ModuleType):
    client = library.Client()
    client.close()
    instrument_client(client, "openai")

    with pytest.raises(RuntimeError, match="closed"):
        client.get("http://backend" + CHAT)

    assert counted() == {}


def test_copies_and_pickles_of_a_session_are_not_instrumented(session, origin: Origin):
    session.get_adapter("http://").max_retries = 3
    for other in (pickle.loads(pickle.dumps(session)), copy.deepcopy(session)):  # noqa: S301  # Made by this test.
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


class Final:
    """Makes a direct subclass of this class final."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        if "Final" in {kind.__name__ for base in cls.__bases__ for kind in base.__mro__[1:]}:
            raise TypeError("This class is final.")
        super().__init_subclass__(**kwargs)


def respond_or_raise(library: ModuleType) -> Callable[[Any], Any]:
    def handle(request: Any) -> Any:
        if request.url.path == "/refuse":
            raise library.ConnectError("refused")
        return library.Response(200, text="answered")

    return handle


@each_library
def test_a_client_of_a_final_class_is_measured(library: ModuleType):
    client_class: Any = type("FinalClient", (Final, library.Client), {})
    transport = library.MockTransport(respond_or_raise(library))
    client = instrument_client(
        client_class(transport=transport, **CLIENT_OPTIONS), backend="openai"
    )

    assert client.get("http://backend" + CHAT).text == "answered"
    with pytest.raises(library.ConnectError):
        client.get("http://backend/refuse")

    assert type(client) is client_class
    assert counted() == {CHAT: 1, "other": 1}
    assert (timed(), errors()) == (2, {"connection": 1})


@each_library
async def test_an_async_client_of_a_final_class_is_measured(library: ModuleType):
    client_class: Any = type("FinalClient", (Final, library.AsyncClient), {})
    transport = library.MockTransport(respond_or_raise(library))
    client = instrument_client(
        client_class(transport=transport, **CLIENT_OPTIONS), backend="openai"
    )

    assert (await client.get("http://backend" + CHAT)).text == "answered"
    with pytest.raises(library.ConnectError):
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
