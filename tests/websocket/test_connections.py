"""A connection from its start to its end: accepted or rejected, once, and ended, once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tachikoma_metrics.asgi import WebSocketMetricsMiddleware
from tachikoma_metrics.testing import sample_value
from tests.websocket.connections import (
    ACCEPT,
    CLOSE,
    CONNECT,
    DISCONNECT,
    SCOPE,
    App,
    Server,
    app_sending,
    echo,
    received,
    sent,
)
from tests.websocket.recorded import accepted, counted, current, ended, rejected

DENIAL = [
    {"type": "websocket.http.response.start", "status": 403, "headers": []},
    {"type": "websocket.http.response.body", "body": b"no"},
]


async def test_a_connection_and_its_messages_are_counted():
    await Server(CONNECT, received("a"), received(data=b"b"), received("c"), DISCONNECT).serve(echo)

    assert accepted() == 1
    assert counted("received") == {"text": 2, "binary": 1}
    assert counted("sent") == {"text": 2, "binary": 1}
    assert ended() == {"1001": 1}
    assert sample_value("ws_connection_duration_seconds_count") == 1
    assert rejected() == {}


async def test_an_open_connection_is_in_the_gauge():
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current())
        await send(ACCEPT)
        seen.append(current())
        await receive()
        seen.append(current())

    await Server(DISCONNECT).serve(app)

    assert seen == [0, 1, 0]


async def test_a_connection_is_counted_once_its_accept_was_sent():
    seen = []

    class Slow(Server):
        async def send(self, message: Any) -> None:
            seen.append(accepted())

    await Slow().serve(app_sending(ACCEPT, sent(text="a")))

    assert seen == [0, 1]


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (app_sending(CLOSE), "closed"),
        (app_sending(CLOSE, then=ValueError()), "closed"),
        (app_sending(*DENIAL), "denied"),
        (app_sending(), "error"),
        (app_sending(then=ValueError()), "error"),
        (app_sending(then=asyncio.CancelledError()), "left"),
    ],
    ids=["closes", "closes and raises", "denies", "returns", "raises", "is cancelled"],
)
async def test_a_rejected_connection_is_counted_by_reason(app: App, reason: str):
    await asyncio.gather(Server().serve(app), return_exceptions=True)

    assert rejected() == {reason: 1}
    assert accepted() == 0
    assert ended() == {}


async def test_a_client_that_disconnects_before_the_accept_is_rejected_with_left():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass
        await send(ACCEPT)

    await Server(CONNECT, DISCONNECT).serve(app)

    assert rejected() == {"left": 1}
    assert accepted() == 0


@pytest.mark.parametrize(("error", "reason"), [(OSError(), "left"), (RuntimeError(), "error")])
async def test_a_connection_whose_accept_cannot_be_sent_is_rejected(error: Exception, reason: str):
    server = Server()
    server.fails_with = error

    with pytest.raises(type(error)):
        await server.serve(app_sending(ACCEPT))

    assert rejected() == {reason: 1}
    assert accepted() == 0


@pytest.mark.parametrize(
    ("app", "code"),
    [
        (app_sending(ACCEPT, CLOSE), "1000"),
        (app_sending(ACCEPT, {**CLOSE, "code": 1008}), "1008"),
        (app_sending(ACCEPT, {**CLOSE, "code": 4001}), "other"),
        (app_sending(ACCEPT, {**CLOSE, "code": None}), "1000"),
        (app_sending(ACCEPT), "1006"),
        (app_sending(ACCEPT, then=ValueError()), "1011"),
        (app_sending(ACCEPT, then=asyncio.CancelledError()), "1006"),
    ],
    ids=["closes", "1008", "4001", "no code", "returns", "raises", "is cancelled"],
)
async def test_a_connection_that_the_application_ends_has_a_code(app: App, code: str):
    await asyncio.gather(Server().serve(app), return_exceptions=True)

    assert ended() == {code: 1}
    assert accepted() == 1
    assert rejected() == {}


async def test_only_the_first_end_is_counted():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        await send(ACCEPT)
        await receive()
        await receive()
        await send(CLOSE)
        await send(CLOSE)
        await send(ACCEPT)
        raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011  # The application's own.
        await Server(DISCONNECT, DISCONNECT).serve(app)

    assert accepted() == 1
    assert ended() == {"1001": 1}
    assert rejected() == {}


async def test_the_connection_has_ended_while_the_application_cleans_up():
    is_left, may_end = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        is_left.set()
        await may_end.wait()

    serving = asyncio.ensure_future(Server(CONNECT, DISCONNECT).serve(app))
    await is_left.wait()
    assert current() == 0
    may_end.set()
    await serving

    assert ended() == {"1001": 1}


async def test_a_message_to_a_disconnected_client_is_not_counted():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        await send(sent(text="too late"))

    await Server(CONNECT, DISCONNECT).serve(app)

    assert counted("sent") == {}


@pytest.mark.parametrize("was_accepted", [False, True])
async def test_a_cancelled_connection_ends(was_accepted: bool):
    waiting = asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if was_accepted:
            await send(ACCEPT)
        waiting.set()
        await asyncio.sleep(60)

    serving = asyncio.ensure_future(Server().serve(app))
    await waiting.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving

    assert ended() == ({"1006": 1} if was_accepted else {})
    assert rejected() == ({} if was_accepted else {"left": 1})


async def test_an_unfinished_connection_ends_with_its_coroutine():
    server = Server()
    coroutine = WebSocketMetricsMiddleware(app_sending(ACCEPT))(SCOPE, server.receive, server.send)
    coroutine.send(None)  # Runs up to the first await of the server.
    coroutine.close()

    assert rejected() == {"left": 1}


async def test_many_concurrent_connections():
    servers = [Server(CONNECT, *[received("a")] * 20, DISCONNECT) for _ in range(100)]
    await asyncio.gather(*(server.serve(echo) for server in servers))

    assert accepted() == 100
    assert counted("sent") == {"text": 2000}
    assert ended() == {"1001": 100}
