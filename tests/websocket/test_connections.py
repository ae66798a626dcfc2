from __future__ import annotations

import asyncio
import enum
import errno
import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any

import pytest
from django.test import override_settings

from tachikoma_metrics.asgi import WebSocketMetricsMiddleware
from tachikoma_metrics.testing import sample_value, samples
from tachikoma_metrics.websocket.message_types import MAX_PARSED_LENGTH

SCOPE = {"type": "websocket", "path": "/"}
CONNECT = {"type": "websocket.connect"}
ACCEPT = {"type": "websocket.accept"}
CLOSE = {"type": "websocket.close"}
LEFT = {"type": "websocket.disconnect", "code": 1001}
DENIAL = [
    {"type": "websocket.http.response.start", "status": 403, "headers": []},
    {"type": "websocket.http.response.body", "body": b"no"},
]

OPT_IN = ["ws_connection_duration_seconds", "ws_connections_rejected_total", "ws_disconnects_total"]

App = Callable[..., Awaitable[Any]]


def received(text: str | None = None, data: bytes | None = None) -> dict[str, Any]:
    return {"type": "websocket.receive", "text": text, "bytes": data}


def sent(**content: Any) -> dict[str, Any]:
    return {"type": "websocket.send", **content}


class Server:
    """Serve one connection as a real server would: messages in, messages out."""

    def __init__(self, *incoming: Any) -> None:
        self.incoming = list(incoming)
        self.outgoing: list[Any] = []
        self.fails_with: BaseException | None = None

    async def receive(self) -> Any:
        await asyncio.sleep(0)
        return self.incoming.pop(0)

    async def send(self, message: Any) -> None:
        await asyncio.sleep(0)
        if self.fails_with is not None:
            raise self.fails_with
        self.outgoing.append(message)

    async def serve(self, app: App, scope: Any = SCOPE) -> Any:
        return await WebSocketMetricsMiddleware(app)(scope, self.receive, self.send)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Accept, send back what comes, and return when the client left."""
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send(ACCEPT)
        else:
            await send({**message, "type": "websocket.send"})


def saying(*messages: Any, then: BaseException | None = None) -> App:
    """Return an app that sends these, whatever comes, and raises at the end."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)
        if then is not None:
            raise then

    return app


def by_label(name: str) -> dict[str, float]:
    """Return the samples of a family with one label, by its value."""
    return {
        value: amount
        for (found, labels), amount in samples().items()
        for _, value in labels
        if found == name
    }


def accepted() -> float:
    # Without a label it may stand at zero before the first.
    return sample_value("ws_connections_total") or 0


def current() -> float:
    return sample_value("ws_connections_current") or 0


def rejected() -> dict[str, float]:
    return by_label("ws_connections_rejected_total")


def ended() -> dict[str, float]:
    return by_label("ws_disconnects_total")


def counted(direction: str) -> dict[str, float]:
    return by_label(f"ws_messages_{direction}_total")


def faults() -> float | None:
    return sample_value("tachikoma_metrics_errors_total", source="websocket")


@pytest.fixture(autouse=True)
def _everything_is_on_and_nothing_stays_open() -> Iterator[None]:
    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": OPT_IN}):
        yield
        assert current() == 0


def listing(*types: str) -> override_settings:
    return override_settings(
        TACHIKOMA_METRICS={"EXTRA_METRICS": OPT_IN, "WS_MESSAGE_TYPES": [*types]}
    )


# --- a connection, from its start to its end --------------------------------


async def test_a_connection_and_its_messages_are_counted():
    await Server(CONNECT, received("a"), received(data=b"b"), received("c"), LEFT).serve(echo)

    assert accepted() == 1
    assert counted("received") == {"text": 2, "binary": 1}
    assert counted("sent") == {"text": 2, "binary": 1}
    assert ended() == {"1001": 1}
    assert sample_value("ws_connection_duration_seconds_count") == 1
    assert rejected() == {}


async def test_what_is_open_now_is_seen_meanwhile():
    seen = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(current())
        await send(ACCEPT)
        seen.append(current())
        await receive()
        seen.append(current())

    await Server(LEFT).serve(app)

    assert seen == [0, 1, 0]


async def test_an_accept_counts_once_it_went_out():
    seen = []

    class Slow(Server):
        async def send(self, message: Any) -> None:
            seen.append(accepted())

    await Slow().serve(saying(ACCEPT, sent(text="a")))

    assert seen == [0, 1]


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        (saying(CLOSE), "closed"),
        (saying(CLOSE, then=ValueError()), "closed"),
        (saying(*DENIAL), "denied"),
        (saying(), "error"),
        (saying(then=ValueError()), "error"),
        (saying(then=asyncio.CancelledError()), "left"),
    ],
    ids=["closes", "closes and raises", "denies", "returns", "raises", "is cancelled"],
)
async def test_a_connection_that_is_not_accepted_has_a_reason(app: App, reason: str):
    await asyncio.gather(Server().serve(app), return_exceptions=True)

    assert rejected() == {reason: 1}
    assert accepted() == 0
    assert ended() == {}


async def test_a_client_may_leave_before_it_is_accepted():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "websocket.disconnect":
            pass
        await send(ACCEPT)

    await Server(CONNECT, LEFT).serve(app)

    assert rejected() == {"left": 1}
    assert accepted() == 0


@pytest.mark.parametrize(("error", "reason"), [(OSError(), "left"), (RuntimeError(), "error")])
async def test_an_accept_that_fails_is_none(error: Exception, reason: str):
    server = Server()
    server.fails_with = error

    with pytest.raises(type(error)):
        await server.serve(saying(ACCEPT))

    assert rejected() == {reason: 1}
    assert accepted() == 0


@pytest.mark.parametrize(
    ("app", "code"),
    [
        (saying(ACCEPT, CLOSE), "1000"),
        (saying(ACCEPT, {**CLOSE, "code": 1008}), "1008"),
        (saying(ACCEPT, {**CLOSE, "code": 4001}), "other"),
        (saying(ACCEPT, {**CLOSE, "code": None}), "1000"),
        (saying(ACCEPT), "1006"),
        (saying(ACCEPT, then=ValueError()), "1011"),
        (saying(ACCEPT, then=asyncio.CancelledError()), "1006"),
    ],
    ids=["closes", "1008", "4001", "no code", "returns", "raises", "is cancelled"],
)
async def test_the_application_may_end_it(app: App, code: str):
    await asyncio.gather(Server().serve(app), return_exceptions=True)

    assert ended() == {code: 1}
    assert accepted() == 1
    assert rejected() == {}


class ConnectionClosed(Exception):
    """Of the package websockets, as older servers let it through."""


class Disconnected(RuntimeError):
    """Of autobahn, on which daphne is built."""


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
async def test_a_send_that_says_that_the_client_is_gone_ends_it(error: Exception):
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
async def test_a_connection_survives_a_message_that_the_server_refuses(error: Exception):
    server, seen = Server(received("b"), {**LEFT, "code": 1000}), []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        server.fails_with = error
        for refused in (sent(text=7), ACCEPT, {**CLOSE, "reason": 7}, {"type": "nonsense"}):
            with pytest.raises(type(error)):
                await send(refused)
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


async def test_an_accept_may_succeed_after_one_that_was_refused():
    server = Server(LEFT)

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


async def test_code_that_lets_a_refusal_through_has_failed():
    server = Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        server.fails_with = RuntimeError()
        await send(sent(text=7))

    with pytest.raises(RuntimeError):
        await server.serve(app)

    assert ended() == {"1011": 1}


async def test_a_send_that_is_cancelled_ends_nothing():
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


async def test_only_the_first_end_counts():
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
        await Server(LEFT, LEFT).serve(app)

    assert accepted() == 1
    assert ended() == {"1001": 1}
    assert rejected() == {}


async def test_it_is_over_while_the_application_still_cleans_up():
    is_left, may_end = asyncio.Event(), asyncio.Event()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        is_left.set()
        await may_end.wait()

    serving = asyncio.ensure_future(Server(CONNECT, LEFT).serve(app))
    await is_left.wait()
    assert current() == 0
    may_end.set()
    await serving

    assert ended() == {"1001": 1}


async def test_what_is_sent_to_a_client_that_left_does_not_count():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await echo(scope, receive, send)
        await send(sent(text="too late"))

    await Server(CONNECT, LEFT).serve(app)

    assert counted("sent") == {}


@pytest.mark.parametrize("was_accepted", [False, True])
async def test_a_connection_that_is_cancelled_ends(was_accepted: bool):
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


async def test_a_connection_that_nobody_finishes_ends_with_its_coroutine():
    server = Server()
    coroutine = WebSocketMetricsMiddleware(saying(ACCEPT))(SCOPE, server.receive, server.send)
    coroutine.send(None)  # As far as the first await of the server.
    coroutine.close()

    assert rejected() == {"left": 1}


async def test_many_connections_at_once():
    servers = [Server(CONNECT, *[received("a")] * 20, LEFT) for _ in range(100)]
    await asyncio.gather(*(server.serve(echo) for server in servers))

    assert accepted() == 100
    assert counted("sent") == {"text": 2000}
    assert ended() == {"1001": 100}


# --- close codes ------------------------------------------------------------


class Code(enum.IntEnum):
    GOING_AWAY = 1001


@pytest.mark.parametrize(
    ("code", "label"),
    [
        (1000, "1000"),
        (1015, "1015"),
        (Code.GOING_AWAY, "1001"),
        (None, "1005"),
        (1016, "other"),
        (3000, "other"),
        (True, "other"),
        ("1000", "other"),
        ([], "other"),
    ],
)
async def test_the_code_is_one_of_a_few(code: object, label: str):
    await Server(CONNECT, {**LEFT, "code": code}).serve(echo)

    assert ended() == {label: 1}


async def test_a_disconnect_without_a_code_has_1005():
    await Server(CONNECT, {"type": "websocket.disconnect"}).serve(echo)

    assert ended() == {"1005": 1}


async def test_codes_are_bounded_whatever_clients_choose():
    for code in range(3000, 5000):
        await Server(CONNECT, {**LEFT, "code": code}).serve(echo)

    assert ended() == {"other": 2000}


# --- types of messages ------------------------------------------------------


async def types_of(messages: Iterable[dict[str, Any]]) -> dict[str, float]:
    await Server(CONNECT, *messages, LEFT).serve(echo)
    assert counted("received") == counted("sent")
    assert faults() is None
    return counted("received")


def named(value: str | bytes) -> str:
    return f"{value[:20]!r} of {len(value)}"


TEXTS = [
    ('{"type": "move"}', "move"),
    (' \n{"type": "move", "to": [1, 2]}', "move"),
    ('{"type": "chat"}', "other"),
    ('{"type": "\\ud800"}', "other"),
    ('{"type": 1}', "invalid"),
    ('{"type": null}', "invalid"),
    ('{"type": ["move"]}', "invalid"),
    ('{"kind": "move"}', "invalid"),
    ('{"type": "move"', "invalid"),
    ('["move"]', "invalid"),
    ('"move"', "invalid"),
    ("move", "invalid"),
    ("", "invalid"),
    ('{"type": ' + "1" * 5000 + "}", "invalid"),
    ('{"a": ' * 2500, "invalid"),
    ('{"a": ' * 100_000, "other"),
    (json.dumps({"type": "move", "of": "x" * MAX_PARSED_LENGTH}), "other"),
]


@pytest.mark.parametrize(("text", "label"), TEXTS, ids=named)
async def test_the_type_of_a_text(text: str, label: str):
    with listing("move"):
        assert await types_of([received(text)]) == {label: 1}


BINARIES = [
    (b'{"type": "move"}', "move"),
    (b'{"type": "chat"}', "other"),
    (b'{"type": 1}', "invalid"),
    (b'["move"]', "binary"),
    (b"7", "binary"),
    (b"", "binary"),
    (b"\xff\xfe\x00", "binary"),
    ('{"type": "move"}'.encode("utf-16"), "binary"),
    (b"[" * 100_000, "binary"),
]


@pytest.mark.parametrize(("data", "label"), BINARIES, ids=named)
async def test_the_type_of_what_is_binary(data: bytes, label: str):
    with listing("move"):
        assert await types_of([received(data=data)]) == {label: 1}


async def test_types_are_bounded_whatever_clients_send():
    with listing("move", "kind 7"):
        texts = [received(json.dumps({"type": f"kind {number}"})) for number in range(10_000)]

        assert await types_of(texts) == {"kind 7": 1, "other": 9999}


async def test_nothing_is_parsed_unless_types_are_listed():
    assert await types_of([received('{"type": "move"}'), received("[" * 100_000)]) == {"text": 2}


# --- no change of behaviour -------------------------------------------------


async def test_messages_and_the_result_are_the_very_objects():
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
        await Server().serve(saying(ACCEPT, then=error))

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


@pytest.mark.parametrize("kind", ["http", "lifespan", "of tomorrow"])
async def test_whatever_is_no_websocket_goes_straight_through(kind: str):
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


async def test_wrapped_twice_counts_once():
    await Server(CONNECT, received("a"), LEFT).serve(WebSocketMetricsMiddleware(echo))

    assert accepted() == 1
    assert counted("received") == {"text": 1}


@pytest.mark.parametrize("message", [None, {}, {"type": None}, {"type": "websocket.receive"}, 7])
async def test_a_message_that_is_none_is_the_business_of_others(message: object):
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert await receive() is message
        await send(message)

    server = Server(message)
    await server.serve(app)

    assert server.outgoing == [message]


async def test_what_cannot_be_told_is_a_fault_of_ours():
    await Server(CONNECT, {"type": "websocket.receive", "text": 7}, LEFT).serve(echo)
    with listing("move"):
        await Server(CONNECT, {"type": "websocket.receive", "text": 7}, LEFT).serve(echo)

        assert faults() == 2  # One of each direction.


# --- switched off -----------------------------------------------------------


async def test_nothing_is_measured_when_disabled():
    server = Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert receive == server.receive
        await send(ACCEPT)

    with override_settings(TACHIKOMA_METRICS={"ENABLED": False}):
        await server.serve(app)

    assert accepted() == 0


async def test_a_family_may_be_switched_off():
    disabled = {"DISABLED_METRICS": ["ws_connections_total", "ws_messages_sent_total"]}
    with override_settings(TACHIKOMA_METRICS=disabled):
        await Server(CONNECT, received("a"), LEFT).serve(echo)

        assert sample_value("ws_connections_total") is None
        assert counted("sent") == {}
        assert counted("received") == {"text": 1}
        assert current() == 0


async def test_the_gauge_may_be_switched_off():
    with override_settings(TACHIKOMA_METRICS={"DISABLED_METRICS": ["ws_connections_current"]}):
        await Server(CONNECT, LEFT).serve(echo)

        assert sample_value("ws_connections_current") is None
        assert accepted() == 1


async def test_the_opt_in_families_are_off_by_default():
    with override_settings(TACHIKOMA_METRICS={}):
        await Server(CONNECT, LEFT).serve(echo)
        await Server().serve(saying(CLOSE))

        assert current() == 0
        assert rejected() == ended() == {}
        assert sample_value("ws_connection_duration_seconds_count") is None


async def test_a_connection_ends_even_if_everything_was_switched_off_meanwhile():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        with override_settings(TACHIKOMA_METRICS={"ENABLED": False}):
            await receive()
            await send(sent(text="a"))
            await receive()

    await Server(received("a"), LEFT).serve(app)

    assert current() == 0
    assert counted("received") == counted("sent") == {}
