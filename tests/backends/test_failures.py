from __future__ import annotations

import asyncio
import socket
from types import ModuleType
from typing import Any

import httpx
import pytest
import requests

from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.testing import sample_value
from tests.backends.measured_clients import (
    CHAT,
    Holder,
    async_client_of,
    client_of,
    counted,
    discard_instrumentation_error,
    each_library,
    errors,
    seconds,
    timed,
)
from tests.origins import Answer, Origin


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@each_library
def test_a_refused_connection_is_an_error(library: ModuleType):
    with client_of(library) as client, pytest.raises(library.ConnectError):
        client.get(closed_port() + CHAT)

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {"connection": 1})


def test_a_refused_connection_of_requests_is_an_error(session: requests.Session):
    with pytest.raises(requests.ConnectionError):
        session.get(closed_port() + CHAT)

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {"connection": 1})


@each_library
def test_a_body_that_stalls_is_a_timeout(library: ModuleType, origin: Origin):
    origin.answers.append(Answer(chunks=[b"one"], hangs=True))
    with client_of(library, timeout=0.1) as client, pytest.raises(library.ReadTimeout):
        client.get(origin.url + CHAT)

    assert (counted(), errors()) == ({CHAT: 1}, {"timeout": 1})
    assert seconds() >= 0.1


@pytest.mark.parametrize("is_read", [True, False])
def test_a_body_of_requests_that_stalls_is_a_timeout(session, origin: Origin, is_read: bool):
    origin.answers.append(Answer(chunks=[b"one"], hangs=True))
    response = session.get(origin.url + CHAT, stream=True, timeout=0.1)

    with pytest.raises(Exception, match="timed out"):
        response.raw.read() if is_read else response.content

    assert (counted(), errors()) == ({CHAT: 1}, {"timeout": 1})


@each_library
def test_an_incomplete_body_is_an_error(library: ModuleType, origin: Origin):
    origin.answers.append(Answer(chunks=[b"one"], breaks=True))
    with client_of(library) as client, pytest.raises(library.RemoteProtocolError):
        client.get(origin.url + CHAT)

    assert (counted(), errors()) == ({CHAT: 1}, {"protocol": 1})


@each_library
def test_the_error_status_takes_precedence_over_an_incomplete_body(
    library: ModuleType, origin: Origin
):
    origin.answers.append(Answer(500, chunks=[b"one"], breaks=True))
    with client_of(library) as client, pytest.raises(library.RemoteProtocolError):
        client.get(origin.url + CHAT)

    assert errors() == {"server_error": 1}


@each_library
@pytest.mark.parametrize("chunks", [[], [b"one"]])
async def test_a_cancelled_request_is_counted_once_as_cancelled(
    library: ModuleType, origin: Origin, chunks
):
    origin.answers.append(Answer(chunks=chunks, hangs=True))
    async with async_client_of(library) as client:
        task = asyncio.create_task(client.get(origin.url + CHAT))
        await asyncio.to_thread(origin.asked.wait, 10)
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {"cancelled": 1})


@each_library
async def test_a_request_cancelled_before_its_response_is_counted_as_cancelled(library: ModuleType):
    async def hang(request: Any) -> Any:
        await asyncio.sleep(30)

    async with async_client_of(library, transport=library.MockTransport(hang)) as client:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(client.get("http://backend" + CHAT), 0.05)

    assert errors() == {"cancelled": 1}


def test_an_exception_passes_through_unchanged():
    error = ValueError("broken")

    def fail(request: httpx.Request) -> httpx.Response:
        raise error

    client = client_of(httpx, transport=httpx.MockTransport(fail))
    with pytest.raises(ValueError, match="broken") as raised:
        client.get("http://backend" + CHAT)

    assert raised.value is error
    assert errors() == {"other": 1}


def test_a_response_of_an_unknown_type_passes_through():
    class Odd:
        def handle_request(self, request: Any) -> str:
            return "answer"

    client = instrument_client(Holder(_transport=Odd()), "odd")

    assert client._transport.handle_request(httpx.Request("GET", "http://backend/")) == "answer"
    assert counted() == {"other": 1}
    assert sample_value("tachikoma_metrics_errors_total", source="backend") == 1
    discard_instrumentation_error()


def test_a_request_of_an_unknown_type_passes_through():
    class Odd:
        def handle_request(self, request: Any) -> Any:
            return httpx.Response(200)

    client = instrument_client(Holder(_transport=Odd()), "odd")

    assert client._transport.handle_request(None).status_code == 200
    assert counted() == {"other": 1}
    discard_instrumentation_error()
