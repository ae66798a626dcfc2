"""The labels of WebSocket metrics: close codes and message types."""

from __future__ import annotations

import enum
import json
from collections.abc import Iterable
from typing import Any

import pytest
from django.test import override_settings

from tachikoma_metrics.websocket.message_types import MAX_PARSED_LENGTH
from tests.websocket.connections import CONNECT, DISCONNECT, Server, echo, received
from tests.websocket.recorded import OPT_IN, counted, ended, instrumentation_errors


def listed_types(*types: str) -> override_settings:
    return override_settings(
        TACHIKOMA_METRICS={"EXTRA_METRICS": OPT_IN, "WS_MESSAGE_TYPES": [*types]}
    )


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
async def test_the_code_label_is_a_registered_code_or_other(code: object, label: str):
    await Server(CONNECT, {**DISCONNECT, "code": code}).serve(echo)

    assert ended() == {label: 1}


async def test_a_disconnect_without_a_code_has_1005():
    await Server(CONNECT, {"type": "websocket.disconnect"}).serve(echo)

    assert ended() == {"1005": 1}


async def test_the_number_of_codes_is_bounded():
    for code in range(3000, 5000):
        await Server(CONNECT, {**DISCONNECT, "code": code}).serve(echo)

    assert ended() == {"other": 2000}


async def types_of(messages: Iterable[dict[str, Any]]) -> dict[str, float]:
    await Server(CONNECT, *messages, DISCONNECT).serve(echo)
    assert counted("received") == counted("sent")
    assert instrumentation_errors() is None
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
async def test_the_type_of_a_text_message(text: str, label: str):
    with listed_types("move"):
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
async def test_the_type_of_a_binary_message(data: bytes, label: str):
    with listed_types("move"):
        assert await types_of([received(data=data)]) == {label: 1}


async def test_the_number_of_types_is_bounded():
    with listed_types("move", "kind 7"):
        texts = [received(json.dumps({"type": f"kind {number}"})) for number in range(10_000)]

        assert await types_of(texts) == {"kind 7": 1, "other": 9999}


async def test_nothing_is_parsed_unless_types_are_listed():
    assert await types_of([received('{"type": "move"}'), received("[" * 100_000)]) == {"text": 2}


async def test_a_message_without_a_readable_type_is_an_instrumentation_error():
    await Server(CONNECT, {"type": "websocket.receive", "text": 7}, DISCONNECT).serve(echo)
    with listed_types("move"):
        await Server(CONNECT, {"type": "websocket.receive", "text": 7}, DISCONNECT).serve(echo)

        assert instrumentation_errors() == 2  # One for each direction.
