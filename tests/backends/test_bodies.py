from __future__ import annotations

import asyncio
import gc
import gzip
import time
from collections.abc import AsyncIterator, Iterator
from types import ModuleType

import pytest
import requests

from tachikoma_metrics import track_backend_request
from tests.backends.measured_clients import (
    CHAT,
    async_client_of,
    client_of,
    counted,
    each_library,
    errors,
    in_progress,
    seconds,
    timed,
)
from tests.origins import Answer, Origin


@each_library
def test_a_stream_is_timed_to_its_last_byte(library: ModuleType):
    def chunks() -> Iterator[bytes]:
        yield b"one"
        time.sleep(0.05)
        yield b"two"

    transport = library.MockTransport(lambda request: library.Response(200, content=chunks()))
    client = client_of(library, transport=transport)
    with client, client.stream("GET", "http://backend" + CHAT) as response:
        assert (counted(), in_progress()) == ({}, 1)
        assert list(response.iter_raw()) == [b"one", b"two"]
        assert counted() == {CHAT: 1}

    assert seconds() >= 0.05


@each_library
async def test_an_async_stream_is_timed_to_its_last_byte(library: ModuleType):
    async def chunks() -> AsyncIterator[bytes]:
        yield b"one"
        await asyncio.sleep(0.05)
        yield b"two"

    transport = library.MockTransport(lambda request: library.Response(200, content=chunks()))
    client = async_client_of(library, transport=transport)
    async with client, client.stream("GET", "http://backend" + CHAT) as response:
        assert (counted(), in_progress()) == ({}, 1)
        assert [chunk async for chunk in response.aiter_raw()] == [b"one", b"two"]

    assert counted() == {CHAT: 1}
    assert seconds() >= 0.05


@each_library
def test_closing_a_stream_early_is_no_error(library: ModuleType, origin: Origin):
    origin.answers.append(Answer(chunks=[b"one"], hangs=True))
    with client_of(library) as client, client.stream("GET", origin.url + CHAT) as response:
        chunks = response.iter_raw()
        assert next(chunks) == b"one"
        assert counted() == {}

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {})


@each_library
def test_an_unread_response_is_timed_until_it_is_closed(library: ModuleType, origin: Origin):
    origin.answers.append(Answer(429))
    with client_of(library) as client, client.stream("GET", origin.url + CHAT):
        assert counted() == {}

    assert (counted(), timed(), errors()) == ({CHAT: 1}, 1, {"rate_limit": 1})


@each_library
def test_a_response_is_timed_until_it_is_garbage_collected(library: ModuleType):
    transport = library.MockTransport(lambda request: library.Response(200, content=iter([b"one"])))
    client = client_of(library, transport=transport)
    response = client.send(client.build_request("GET", "http://backend" + CHAT), stream=True)
    del response
    gc.collect()
    time.sleep(1)

    with track_backend_request("other", "/"):
        pass

    assert counted() == {CHAT: 1, "/": 1}
    assert seconds() < 1


def test_an_unread_response_of_requests_is_timed_until_it_is_closed(
    session: requests.Session, origin: Origin
):
    response = session.get(origin.url + CHAT, stream=True)
    response.raw.read(1)
    response.close()
    # The connection has unread bytes and cannot be used for another request.
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
def test_reading_zero_bytes_does_not_end_a_body(session, origin: Origin, read_nothing):
    origin.answers.append(Answer(chunks=[b"one"], breaks=True))
    response = session.get(origin.url + CHAT, stream=True)

    assert read_nothing(response.raw) == b""
    assert response.raw.read(1) == b"o"
    assert read_nothing(response.raw) == b""
    assert (counted(), in_progress()) == ({}, 1)
    with pytest.raises(Exception, match="IncompleteRead"):
        response.raw.read()
    assert (counted(), errors()) == ({CHAT: 1}, {"protocol": 1})


def test_reading_without_a_limit_ends_a_body(session, origin: Origin):
    response = session.get(origin.url + CHAT, stream=True)

    assert response.raw.read(None) == b"{}"
    assert counted() == {CHAT: 1}
    response.close()


def test_a_read_that_returns_no_decoded_bytes_does_not_end_a_body(session, origin: Origin):
    text = b"".join(b"%d," % number for number in range(1000))
    headers = {"Content-Encoding": "gzip"}
    origin.answers.append(Answer(chunks=[gzip.compress(text)], breaks=True, headers=headers))
    response = session.get(origin.url + CHAT, stream=True)

    response.raw.read(1, decode_content=True)
    assert counted() == {}
    with pytest.raises(Exception, match="IncompleteRead"):
        response.raw.read(decode_content=True)
    assert (counted(), errors()) == ({CHAT: 1}, {"protocol": 1})


@each_library
def test_an_empty_chunk_does_not_end_a_body(library: ModuleType):
    def chunks() -> Iterator[bytes]:
        yield b""
        assert counted() == {}
        yield b"one"
        yield b""
        raise library.ReadError("")

    transport = library.MockTransport(lambda request: library.Response(200, content=chunks()))
    client = client_of(library, transport=transport)
    with client, client.stream("GET", "http://backend" + CHAT) as response:
        received = response.iter_raw()
        assert next(received) == b"one"
        with pytest.raises(library.ReadError):
            next(received)

    assert (counted(), errors()) == ({CHAT: 1}, {"connection": 1})
