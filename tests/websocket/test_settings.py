"""Settings that disable WebSocket metrics."""

from __future__ import annotations

from typing import Any

from django.test import override_settings

from tachikoma_metrics.testing import sample_value
from tests.websocket.connections import (
    ACCEPT,
    CLOSE,
    CONNECT,
    DISCONNECT,
    Server,
    app_sending,
    echo,
    received,
    sent,
)
from tests.websocket.recorded import accepted, counted, current, ended, rejected


async def test_nothing_is_measured_if_metrics_are_disabled():
    server = Server()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert receive == server.receive
        await send(ACCEPT)

    with override_settings(TACHIKOMA_METRICS={"ENABLED": False}):
        await server.serve(app)

    assert accepted() == 0


async def test_a_metric_can_be_disabled():
    disabled = {"DISABLED_METRICS": ["ws_connections_total", "ws_messages_sent_total"]}
    with override_settings(TACHIKOMA_METRICS=disabled):
        await Server(CONNECT, received("a"), DISCONNECT).serve(echo)

        assert sample_value("ws_connections_total") is None
        assert counted("sent") == {}
        assert counted("received") == {"text": 1}
        assert current() == 0


async def test_the_gauge_can_be_disabled():
    with override_settings(TACHIKOMA_METRICS={"DISABLED_METRICS": ["ws_connections_current"]}):
        await Server(CONNECT, DISCONNECT).serve(echo)

        assert sample_value("ws_connections_current") is None
        assert accepted() == 1


async def test_the_opt_in_metrics_are_disabled_by_default():
    with override_settings(TACHIKOMA_METRICS={}):
        await Server(CONNECT, DISCONNECT).serve(echo)
        await Server().serve(app_sending(CLOSE))

        assert current() == 0
        assert rejected() == ended() == {}
        assert sample_value("ws_connection_duration_seconds_count") is None


async def test_a_connection_ends_if_metrics_were_disabled_meanwhile():
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(ACCEPT)
        with override_settings(TACHIKOMA_METRICS={"ENABLED": False}):
            await receive()
            await send(sent(text="a"))
            await receive()

    await Server(received("a"), DISCONNECT).serve(app)

    assert current() == 0
    assert counted("received") == counted("sent") == {}
