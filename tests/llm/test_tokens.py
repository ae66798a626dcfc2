from __future__ import annotations

import contextlib
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from django.test import override_settings

from tests.llm.recorded import (
    CHAT,
    OPT_IN,
    details,
    instrumentation_errors,
    statuses,
    tokens,
    tracked,
)


def as_object(value: Any) -> Any:
    """Return nested dictionaries as objects like those of an SDK."""
    if isinstance(value, dict):
        return SimpleNamespace(**{name: as_object(item) for name, item in value.items()})
    return value


RESPONSES = {
    "input_tokens": 100,
    "output_tokens": 20,
    "input_tokens_details": {"cached_tokens": 80},
    "output_tokens_details": {"reasoning_tokens": 12},
}
MESSAGES = {
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_read_input_tokens": 80,
    "cache_creation_input_tokens": 10,
}
LITELLM = {**CHAT, "cache_read_input_tokens": 80, "cache_creation_input_tokens": 10}


@pytest.mark.parametrize("shape", [dict, as_object])
@pytest.mark.parametrize(
    ("usage", "kinds"),
    [
        (
            CHAT,
            {"cache_read": 80, "reasoning": 12, "audio_prompt": 5, "audio_completion": 3},
        ),
        (RESPONSES, {"cache_read": 80, "reasoning": 12}),
        (MESSAGES, {"cache_read": 80, "cache_write": 10}),
        (
            LITELLM,
            {
                "cache_read": 80,
                "cache_write": 10,
                "reasoning": 12,
                "audio_prompt": 5,
                "audio_completion": 3,
            },
        ),
    ],
    ids=["chat", "responses", "messages", "litellm"],
)
@override_settings(TACHIKOMA_METRICS=OPT_IN)
def test_the_tokens_of_a_response_are_added(shape, usage, kinds):
    with tracked() as execution:
        execution.usage(shape({"id": "1", "usage": usage}))
    with tracked() as execution:
        execution.usage(shape(usage))

    assert tokens() == (200, 40)
    assert details() == {kind: 2 * number for kind, number in kinds.items()}


@pytest.mark.parametrize("shape", [dict, as_object])
def test_the_tokens_of_a_streamed_chat_come_with_its_last_chunk(shape):
    with tracked() as execution:
        for usage in (None, None, CHAT):
            execution.usage(shape({"choices": [], "usage": usage}))

    assert tokens() == (100, 20)


@pytest.mark.parametrize("shape", [dict, as_object])
def test_the_tokens_of_a_streamed_response_come_with_its_last_event(shape):
    with tracked() as execution:
        execution.usage(shape({"type": "response.created", "response": {"usage": None}}))
        execution.usage(shape({"type": "response.completed", "response": {"usage": RESPONSES}}))

    assert tokens() == (100, 20)


@pytest.mark.parametrize("shape", [dict, as_object])
def test_the_tokens_of_a_streamed_message_come_with_several_events(shape):
    begun = {**MESSAGES, "output_tokens": 1}
    with tracked() as execution:
        execution.usage(shape({"type": "message_start", "message": {"usage": begun}}))
        execution.usage(shape({"type": "content_block_delta", "delta": {"text": "Hi"}}))
        delta = {"output_tokens": 20, "input_tokens": None}
        execution.usage(shape({"type": "message_delta", "usage": delta}))

    assert tokens() == (100, 20)


@pytest.mark.parametrize("shape", [dict, as_object])
@pytest.mark.parametrize(
    "event",
    [
        {"type": "chunk", "chunk": {"id": "c", "usage": CHAT}, "snapshot": {"usage": None}},
        {"type": "response.done", "response": {"id": "r", "usage": RESPONSES}},
        {"type": "message_stop", "message": {"id": "m", "usage": MESSAGES}},
        {"event": "thread.run.completed", "data": {"id": "run", "usage": CHAT}},
        {"custom_id": "1", "result": {"type": "succeeded", "message": {"usage": MESSAGES}}},
        {"type": "ai", "usage_metadata": {"input_tokens": 100, "output_tokens": 20}},
        {"type": "span.model_request_end", "model_usage": MESSAGES},
    ],
    ids=lambda event: next(iter(event.values())),
)
def test_the_tokens_are_found_in_the_events_of_helpers(shape, event):
    with tracked() as execution:
        execution.usage(shape(event))
        execution.usage(shape(event))

    assert tokens() == (100, 20)


@override_settings(TACHIKOMA_METRICS=OPT_IN)
@pytest.mark.parametrize(
    ("usage", "kinds"),
    [
        (
            {
                "input_tokens": 100,
                "output_tokens": 20,
                "input_token_details": {"cached_tokens": 40, "text_tokens": 20, "audio_tokens": 40},
                "output_token_details": {"text_tokens": 5, "audio_tokens": 15},
            },
            {"cache_read": 40, "audio_prompt": 40, "audio_completion": 15},
        ),
        (
            {
                "input_tokens": 100,
                "output_tokens": 20,
                "input_token_details": {"audio": 1, "cache_creation": 2, "cache_read": 3},
                "output_token_details": {"audio": 4, "reasoning": 5},
            },
            {
                "cache_read": 3,
                "cache_write": 2,
                "reasoning": 5,
                "audio_prompt": 1,
                "audio_completion": 4,
            },
        ),
        (
            {"prompt_tokens": 100, "prompt_tokens_details": {"cache_write_tokens": 7}},
            {"cache_write": 7},
        ),
    ],
    ids=["realtime", "LangChain", "cache writes"],
)
def test_the_details_of_tokens_are_found_under_several_names(usage, kinds):
    with tracked() as execution:
        execution.usage({"usage": usage})

    assert details() == kinds
    assert tokens()[0] == 100


@pytest.mark.parametrize("shape", [dict, as_object])
def test_a_zero_in_the_last_event_does_not_replace_a_number(shape):
    with tracked() as execution:
        begun = {"id": "1", "usage": {**MESSAGES, "output_tokens": 0}}
        execution.usage(shape({"type": "message_start", "message": begun}))
        delta = {**dict.fromkeys(MESSAGES, 0), "output_tokens": 20}
        execution.usage(shape({"type": "message_delta", "usage": delta}))

    assert tokens() == (100, 20)


def test_a_zero_without_another_number_is_accepted():
    with tracked() as execution:
        execution.usage({"prompt_tokens": 100, "completion_tokens": 0})

    assert tokens()[0] == 100
    assert instrumentation_errors() == 0


@override_settings(TACHIKOMA_METRICS=OPT_IN)
def test_of_several_responses_only_the_last_one_is_counted():
    with tracked() as execution:
        execution.usage({"id": "1", "usage": MESSAGES})
        execution.usage({"id": "2", "usage": {"input_tokens": 7, "output_tokens": 5}})

    assert tokens() == (7, 5)
    assert details() == {}


def raw(**kwargs: Any) -> Any:
    return SimpleNamespace(http_response=httpx.Response(200, **kwargs), parse=None)


@pytest.mark.parametrize("wrap", [raw, lambda **kwargs: httpx.Response(200, **kwargs)])
def test_the_tokens_of_a_raw_response_are_read_from_its_body(wrap):
    with tracked() as execution:
        execution.usage(wrap(json={"id": "1", "usage": CHAT}))
        execution.usage(wrap(content=b"RIFF", headers={"Content-Type": "audio/wav"}))

    assert tokens() == (100, 20)
    assert instrumentation_errors() == 0


@pytest.mark.parametrize(
    "pending",
    [
        iter([CHAT]),
        (chunk for chunk in [CHAT]),
        contextlib.nullcontext(CHAT),
        raw(content=b"data: {}", headers={"Content-Type": "text/event-stream"}),
        raw(stream=httpx.ByteStream(b"{}"), headers={"Content-Type": "application/json"}),
    ],
    ids=["iterator", "generator", "context manager", "raw stream", "raw and not read"],
)
def test_an_object_that_contains_no_response_yet_is_an_instrumentation_error(pending: object):
    with tracked() as execution:
        execution.usage(pending)

    assert instrumentation_errors() == 1
    assert tokens() == (None, None)


@pytest.mark.parametrize("name", ["current_message_snapshot", "current_completion_snapshot"])
def test_the_stream_of_a_helper_contains_the_tokens_so_far(name: str):
    class Helper:
        def __iter__(self) -> Any:
            return self

        def __next__(self) -> Any:
            raise AssertionError("Only the application may read the stream.")

    stream = Helper()
    setattr(stream, name, {"id": "1", "usage": CHAT})
    with tracked() as execution:
        execution.usage(stream)

    assert tokens() == (100, 20)


class Raising:
    @property
    def usage(self) -> Any:
        raise RuntimeError("no usage")


@pytest.mark.parametrize(
    "nonsense",
    [
        None,
        7,
        "usage",
        b"",
        [],
        {},
        {"usage": 7},
        {"usage": {"prompt_tokens": "7", "completion_tokens": -1}},
        {"usage": {"prompt_tokens": True, "completion_tokens": 1.5}},
        {"usage": {"prompt_tokens_details": 7}},
        Exception,
        object(),
    ],
)
def test_an_invalid_usage_is_ignored(nonsense: object):
    with tracked() as execution:
        execution.usage(nonsense)

    assert tokens() == (None, None)
    assert instrumentation_errors() == 0
    assert statuses() == {"success": 1}


def test_a_response_that_raises_is_an_instrumentation_error_and_the_call_is_recorded():
    with tracked() as execution:
        execution.usage(Raising())

    assert instrumentation_errors() == 1
    assert statuses() == {"success": 1}
