"""Other code wraps, replaces, deletes or restores methods of instrumented objects."""

from __future__ import annotations

import copy
import functools
import io
import itertools
import uuid
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import requests
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.test import override_settings

from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.testing import sample_value, samples

URL = "http://backend/v1/models"
LOCAL = "django.core.cache.backends.locmem.LocMemCache"


class Wrapper:
    """A wrapper as instrumentations put it in the place of a method, recognised by its type."""

    def __init__(self, wrapped: Callable[..., Any]) -> None:
        self.wrapped = wrapped

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.wrapped(*args, **kwargs)


def wrap(holder: Any, name: str) -> None:
    setattr(holder, name, Wrapper(getattr(holder, name)))


def wrap_partially(holder: Any, name: str) -> None:
    setattr(holder, name, functools.partial(getattr(holder, name)))


def unwrap(holder: Any, name: str) -> None:
    found = getattr(holder, name)
    if type(found) is Wrapper:
        setattr(holder, name, found.wrapped)


def delete(holder: Any, name: str) -> None:
    if name in vars(holder):
        delattr(holder, name)


STEPS: dict[str, Callable[[Any, str], None]] = {
    "wrap": wrap,
    "partial": wrap_partially,
    "unwrap": unwrap,
    "delete": delete,
}
ORDERS = [
    order
    for number in (2, 3, 4)
    for order in itertools.permutations(["instrument", *STEPS], number)
    if "instrument" in order
]


def requests_counted() -> float:
    return sum(v for (name, _), v in samples().items() if name == "backend_requests_total")


def errors() -> float:
    return sum(v for (name, _), v in samples().items() if name == "tachikoma_metrics_errors_total")


@pytest.fixture(autouse=True)
def _no_errors() -> Iterator[None]:
    yield
    assert errors() == 0


class Adapter(requests.adapters.BaseAdapter):
    """Answers every request by itself."""

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        from urllib3 import HTTPResponse

        response = requests.Response()
        response.status_code, response.url, response.request = 200, str(request.url), request
        response.raw = HTTPResponse(io.BytesIO(b"hello"), preload_content=False)
        return response

    def close(self) -> None:
        pass


def new_client(kind: Any = httpx.Client) -> Any:
    answer = httpx.MockTransport(lambda request: httpx.Response(200, content=b"hello"))
    return kind(transport=answer, trust_env=False)


def new_session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", Adapter())
    return session


def backend_of(order: tuple[str, ...]) -> str:
    return "-".join(order)


def require_one_request_in_each_order() -> None:
    """Require it of one exposition: to make one takes longer than the rest of an order."""
    counted = {
        dict(labels)["backend"]: value
        for (name, labels), value in samples().items()
        if name == "backend_requests_total"
    }
    assert counted == dict.fromkeys(map(backend_of, ORDERS), 1)


def take(order: tuple[str, ...], client: Any, sender: Any, name: str) -> None:
    for step in order:
        if step == "instrument":
            instrument_client(client, backend_of(order))
        else:
            STEPS[step](sender, name)


# --- clients ----------------------------------------------------------------


def test_a_client_sends_and_counts_once_whatever_the_order():
    for order in ORDERS:
        client = new_client()
        take(order, client, client._transport, "handle_request")

        assert client.get(URL).text == "hello", order

    require_one_request_in_each_order()


async def test_an_async_client_sends_and_counts_once_whatever_the_order():
    for order in ORDERS:
        client = new_client(httpx.AsyncClient)
        take(order, client, client._transport, "handle_async_request")

        assert (await client.get(URL)).text == "hello", order

    require_one_request_in_each_order()


def test_a_session_sends_and_counts_once_whatever_the_order():
    for order in ORDERS:
        session = new_session()
        take(order, session, session.get_adapter(URL), "send")

        assert session.get(URL).text == "hello", order

    require_one_request_in_each_order()


def test_an_attribute_that_is_set_on_a_sender_is_read_from_it():
    client, session = instrument_client(new_client(), "b"), instrument_client(new_session(), "b")
    for sender, name in (
        (client._transport, "handle_request"),
        (session.get_adapter(URL), "send"),
    ):
        before = getattr(sender, name)
        replacement = Wrapper(before)
        setattr(sender, name, replacement)
        assert getattr(sender, name) is replacement
        delattr(sender, name)
        assert getattr(sender, name) == before


@pytest.mark.parametrize("kind", ["client", "session"])
def test_a_wrapper_on_the_class_of_a_sender_is_called(kind: str, monkeypatch: pytest.MonkeyPatch):
    calls = []
    made: Any = new_client() if kind == "client" else new_session()
    client = instrument_client(made, "b")
    sender = client._transport if kind == "client" else client.get_adapter(URL)
    name = "handle_request" if kind == "client" else "send"
    before = getattr(type(sender), name)

    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        calls.append(self)
        return before(self, *args, **kwargs)

    monkeypatch.setattr(type(sender), name, wrapper)

    assert client.get(URL).text == "hello"
    assert calls == [sender]
    assert requests_counted() == 1


@pytest.mark.parametrize("name", ["send", "get_adapter"])
def test_a_method_of_a_session_may_be_wrapped(name: str):
    session = instrument_client(new_session(), "b")
    wrap(session, name)

    assert session.get(URL).text == "hello"
    assert requests_counted() == 1


def test_a_client_whose_class_is_changed_is_still_measured():
    class Traced(httpx.Client):
        pass

    client = instrument_client(new_client(), "b")
    client.__class__ = Traced

    assert isinstance(client, Traced)
    assert client.get(URL).text == "hello"
    assert requests_counted() == 1


def test_an_adapter_that_is_mounted_later_is_measured():
    session = instrument_client(new_session(), "b")
    session.mount("http://backend/", Adapter())
    session.get(URL)

    assert requests_counted() == 1


def test_each_client_counts_for_its_own_backend_though_they_share_a_transport():
    transport = new_client()._transport
    for name in ("one", "other"):
        client = httpx.Client(transport=transport, trust_env=False)
        instrument_client(client, name).get(URL)

    assert [
        sample_value("backend_requests_total", backend=name, endpoint="/v1/models")
        for name in ("one", "other")
    ] == [1, 1]


def test_a_copied_client_is_not_measured():
    client = instrument_client(new_client(), "b")
    other = copy.copy(client)
    other._transport = httpx.MockTransport(lambda request: httpx.Response(418))

    assert type(other) is httpx.Client
    assert (client.get(URL).status_code, other.get(URL).status_code) == (200, 418)


# --- bodies -----------------------------------------------------------------


@pytest.mark.parametrize("name", ["read", "close", "stream", "release_conn"])
@pytest.mark.parametrize("step", ["wrap", "partial"])
def test_a_method_of_a_body_may_be_wrapped(name: str, step: str):
    session = instrument_client(new_session(), "b")
    response = session.get(URL, stream=True)
    STEPS[step](response.raw, name)

    assert response.content == b"hello"
    response.close()
    assert requests_counted() == 1


def test_a_body_is_decoded_as_a_wrapper_requests():
    session = instrument_client(new_session(), "b")
    raw: Any = session.get(URL, stream=True).raw
    raw.read = functools.partial(raw.read, decode_content=True)

    assert raw.read(3) + raw.read() == b"hello"
    assert requests_counted() == 1


def test_a_method_of_a_body_keeps_the_body_alive():
    session = instrument_client(new_session(), "b")
    read = session.get(URL, stream=True).raw.read

    assert requests_counted() == 0
    assert read() == b"hello"
    assert requests_counted() == 1


# --- clients that are no client of a library's ------------------------------


class Sender:
    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(self.statuses.pop(0), content=b"hello")


def send(client: Any) -> int:
    status: int = client._transport.handle_request(httpx.Request("GET", URL)).status_code
    return status


def test_a_wrapper_on_a_wrapped_transport_counts_once():
    client = instrument_client(SimpleNamespace(_transport=Sender(200)), "b")
    wrap(client._transport, "handle_request")

    assert send(client) == 200
    assert requests_counted() == 1


def test_a_wrapper_that_retries_counts_each_attempt():
    client = instrument_client(SimpleNamespace(_transport=Sender(503, 503, 200)), "b")
    inner = client._transport.handle_request

    def until_it_succeeds(request: httpx.Request) -> httpx.Response:
        response: httpx.Response = inner(request)
        return response if response.status_code == 200 else until_it_succeeds(request)

    client._transport.handle_request = until_it_succeeds

    assert send(client) == 200
    assert requests_counted() == 3


def test_a_replacement_of_a_method_counts():
    client = instrument_client(SimpleNamespace(_transport=Sender()), "b")
    client._transport.handle_request = lambda request: httpx.Response(204)

    assert send(client) == 204
    assert requests_counted() == 1


def test_a_wrapper_on_the_class_of_a_wrapped_transport_is_called(monkeypatch: pytest.MonkeyPatch):
    client = instrument_client(SimpleNamespace(_transport=Sender(200)), "b")
    kind = type(client._transport)
    before = kind.handle_request
    monkeypatch.setattr(kind, "handle_request", lambda self, request: before(self, request))

    assert send(client) == 200
    assert requests_counted() == 1


# --- caches -----------------------------------------------------------------


def local() -> dict[str, Any]:
    return {"default": {"BACKEND": LOCAL, "LOCATION": uuid.uuid4().hex}}


def looked_up() -> tuple[float | None, float | None]:
    return sample_value("cache_hits_total"), sample_value("cache_misses_total")


def test_a_cache_looks_up_and_counts_once_whatever_the_order():
    orders = [order[1:] for order in ORDERS if order[0] == "instrument"]
    for number, order in enumerate(orders, start=1):
        with override_settings(CACHES=local()):
            cache: Any = caches["default"]
            cache.set("key", 1)
            for step in order:
                for name in ("get", "get_or_set"):
                    STEPS[step](cache, name)

            assert (cache.get("key"), cache.get_or_set("key", 3)) == (1, 1), order
            assert cache.get("gone", 2) == 2, order
        assert looked_up() == (2 * number, number), order


def test_a_method_of_a_cache_that_is_restored_counts(monkeypatch: pytest.MonkeyPatch):
    make = type(caches).create_connection
    kept = []

    def create(handler: Any, alias: str) -> Any:
        backend: Any = make(handler, alias)
        kept.append(backend.get)
        wrap(backend, "get")
        return backend

    monkeypatch.setattr(type(caches), "create_connection", create)
    with override_settings(CACHES=local()):
        caches["default"].get("gone")
        backend: Any = caches["default"]
        backend.get = kept[0]
        caches["default"].get("gone")

    assert looked_up() == (0, 2)


def test_a_caches_methods_have_no_wrappers():
    plain = LocMemCache("", {})

    with override_settings(CACHES=local()):
        for name in ("get", "aget", "set", "get_many"):
            method = getattr(caches["default"], name)
            assert not hasattr(method, "__wrapped__")
            assert method.__qualname__ == getattr(plain, name).__qualname__
