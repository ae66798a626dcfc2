"""The application and the server behave as they do without the middleware."""

from __future__ import annotations

from typing import Any

import pytest

from tachikoma_metrics.asgi import WebSocketMetricsMiddleware
from tests.websocket.connections import (
    ACCEPT,
    CONNECT,
    DISCONNECT,
    SCOPE,
    Server,
    app_sending,
    echo,
    received,
    sent,
)
from tests.websocket.recorded import accepted, counted


async def test_messages_and_the_result_are_the_same_objects():
    message, given, result, seen = received("a"), sent(text="b"), object(), []

    async def app(scope: Any, receive: Any, send: Any) -> object:
        await send(ACCEPT)
        seen.extend([scope, await receive()])
        await send(given)
        return result

    server = Server(message)

    assert await server.serve(app) is result
    assert seen[0] is SCOPE
    assert seen[1] is message
    assert server.outgoing == [ACCEPT, given]
    assert server.outgoing[1] is given
    assert SCOPE == {"type": "websocket", "path": "/"}


async def test_an_exception_of_the_application_passes_through():
    error = ValueError("its own")

    with pytest.raises(ValueError, match="its own") as raised:
        await Server().serve(app_sending(ACCEPT, then=error))

    assert raised.value is error
    assert error.__cause__ is error.__context__ is None


async def test_an_exception_of_the_server_reaches_the_application():
    server, seen = Server(), []
    server.fails_with = error = OSError("gone")

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(ACCEPT)
        except OSError as caught:
            seen.append(caught)

    await server.serve(app)

    assert seen == [error]


@pytest.mark.parametrize("kind", ["http", "lifespan", "future"])
async def test_other_scopes_than_websockets_pass_through(kind: str):
    seen: list[Any] = []

    async def app(*arguments: Any) -> str:
        seen.extend(arguments)
        return "result"

    scope = {"type": kind}
    server = Server()
    receive, send = server.receive, server.send

    assert await WebSocketMetricsMiddleware(app)(scope, receive, send) == "result"
    assert seen[0] is scope
    assert seen[1] is receive
    assert seen[2] is send


async def test_an_application_that_is_wrapped_twice_is_measured_once():
    await Server(CONNECT, received("a"), DISCONNECT).serve(WebSocketMetricsMiddleware(echo))

    assert accepted() == 1
    assert counted("received") == {"text": 1}


@pytest.mark.parametrize("message", [None, {}, {"type": None}, {"type": "websocket.receive"}, 7])
async def test_a_malformed_message_passes_through(message: object):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() is message
        await send(message)

    server = Server(message)
    await server.serve(app)

    assert server.outgoing == [message]
