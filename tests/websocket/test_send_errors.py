"""Exceptions of the server when the application sends a message."""

from __future__ import annotations

import asyncio
import errno
from typing import Any

import pytest

from tests.websocket.connections import ACCEPT, CLOSE, DISCONNECT, Server, received, sent
from tests.websocket.recorded import accepted, counted, current, ended, rejected


class ConnectionClosed(Exception):
    """As the package websockets raises it through older servers."""


class Disconnected(RuntimeError):
    """As autobahn raises it through daphne."""


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        ConnectionResetError(),
        TimeoutError(errno.ETIMEDOUT, "timed out"),
        ConnectionClosed(),
        Disconnected(),
    ],
    ids=repr,
)
async def test_a_send_error_of_a_disconnected_client_ends_the_connection(error: Exception):
    server, seen = Server(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        server.fails_with = error
        with pytest.raises(type(error)):
            await send(sent(text="a"))
        seen.append(current())

    await server.serve(app)

    assert seen == [0]
    assert ended() == {"1006": 1}
    assert counted("sent") == {}


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("Expected another message"),
        TypeError(),
        UnicodeEncodeError("utf-8", "\ud800", 0, 1, "surrogates not allowed"),
        AttributeError(),
        KeyError("text"),
        ValueError(),
        TimeoutError("A limit of the application's own."),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_connection_survives_a_message_that_the_server_rejects(error: Exception):
    server, seen = Server(received("b"), {**DISCONNECT, "code": 1000}), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        server.fails_with = error
        for message in (
            sent(text=7),
            ACCEPT,
            {**CLOSE, "reason": 7},
            {"type": "nonsense"},
        ):
            with pytest.raises(type(error)):
                await send(message)
        server.fails_with = None
        seen.append(current())
        await receive()
        await send(sent(text="c"))
        await receive()

    await server.serve(app)

    assert seen == [1]
    assert counted("received") == counted("sent") == {"text": 1}
    assert accepted() == 1
    assert ended() == {"1000": 1}


async def test_an_accept_may_succeed_after_the_server_rejected_one():
    server = Server(DISCONNECT)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        server.fails_with = TypeError()
        with pytest.raises(TypeError):
            await send({**ACCEPT, "subprotocol": 7})
        server.fails_with = None
        await send(ACCEPT)
        await receive()

    await server.serve(app)

    assert accepted() == 1
    assert rejected() == {}
    assert ended() == {"1001": 1}


async def test_an_application_that_does_not_catch_a_send_error_has_failed():
    server = Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        server.fails_with = RuntimeError()
        await send(sent(text=7))

    with pytest.raises(RuntimeError):
        await server.serve(app)

    assert ended() == {"1011": 1}


async def test_a_cancelled_send_does_not_end_the_connection():
    server, seen = Server(), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        server.fails_with = asyncio.CancelledError()
        with pytest.raises(asyncio.CancelledError):
            await send(sent(text="a"))
        seen.append(current())
        server.fails_with = None
        await send(CLOSE)

    await server.serve(app)

    assert seen == [1]
    assert ended() == {"1000": 1}
    assert counted("sent") == {}
