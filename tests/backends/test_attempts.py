from __future__ import annotations

import asyncio
from types import ModuleType

import httpx
import pytest
import requests

from tachikoma_metrics import track_backend_request
from tachikoma_metrics.testing import sample_value
from tests.backends.measured_clients import (
    CHAT,
    async_client_of,
    client_of,
    counted,
    discard_instrumentation_error,
    each_library,
    errors,
    in_progress,
    timed,
)
from tests.origins import Answer, Origin


@each_library
def test_a_request_is_counted_and_timed(library: ModuleType, origin: Origin):
    with client_of(library) as client:
        response = client.post(origin.url + CHAT, json={})

    assert response.json() == {}
    assert sample_value("backend_requests_total", backend="openai", endpoint=CHAT) == 1
    assert timed() == 1
    assert errors() == {}


@each_library
async def test_an_async_request_is_counted_and_timed(library: ModuleType, origin: Origin):
    async with async_client_of(library) as client:
        response = await client.post(origin.url + CHAT, json={})

    assert response.json() == {}
    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {})


def test_a_requests_session_is_counted_and_timed(session: requests.Session, origin: Origin):
    response = session.post(origin.url + CHAT, json={})

    assert response.json() == {}
    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {})


def test_a_response_with_a_complete_body_is_counted_and_timed():
    transport = httpx.MockTransport(lambda request: httpx.Response(200, json=[]))
    with client_of(httpx, transport=transport) as client:
        client.get("http://backend/v1/models")

    assert (counted(), timed()) == ({"/v1/models": 1}, 1)


@each_library
@pytest.mark.parametrize(
    ("status", "error"),
    [(429, "rate_limit"), (500, "server_error"), (529, "overloaded"), (404, "not_found")],
)
def test_an_error_status_is_counted_as_an_error(library: ModuleType, origin: Origin, status, error):
    origin.answers += [Answer(status), Answer(200)]
    with client_of(library) as client:
        client.get(origin.url + CHAT)
        client.get(origin.url + CHAT)

    assert (counted(), timed(), errors()) == ({CHAT: 2}, 2, {error: 1})


def test_each_redirect_is_a_separate_request(session: requests.Session, origin: Origin):
    origin.answers.append(Answer(307, headers={"Location": "/v1/models"}))

    session.get(origin.url + CHAT)

    assert counted() == {CHAT: 1, "/v1/models": 1}


def test_a_block_counts_as_a_request():
    with track_backend_request("search", "/query"):
        assert in_progress() == 1

    assert sample_value("backend_requests_total", backend="search", endpoint="/query") == 1
    assert (timed(), errors()) == (1, {})


async def test_an_exception_in_a_block_is_counted_and_passes_through():
    with pytest.raises(ConnectionResetError), track_backend_request("search", "/query"):
        raise ConnectionResetError
    with pytest.raises(TimeoutError):
        async with track_backend_request("search", "/query"):
            raise TimeoutError

    assert (counted(), errors()) == ({"/query": 2}, {"connection": 1, "timeout": 1})


def test_a_block_may_set_the_status():
    with track_backend_request("search", "/query") as attempt:
        attempt.answer(429)
    with track_backend_request("search", "/query") as attempt:
        attempt.answer(200)

    assert errors() == {"rate_limit": 1}


async def test_each_call_of_a_decorated_function_is_a_request():
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


def test_an_invalid_status_does_not_raise():
    with track_backend_request("search", "/query") as attempt:
        attempt.answer("nonsense")  # type: ignore[arg-type]

    assert counted() == {"/query": 1}
    discard_instrumentation_error()
