"""Answers as OpenAI and Anthropic give them, in one piece and as server-sent events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from tests.origins import Answer

MODEL = "gpt-5"
CHAT, RESPONSES, MESSAGES = "/v1/chat/completions", "/v1/responses", "/v1/messages"

CHAT_USAGE = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
RESPONSES_USAGE = {
    "input_tokens": 100,
    "output_tokens": 20,
    "total_tokens": 120,
    "input_tokens_details": {"cached_tokens": 80, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 12},
}
MESSAGES_USAGE = {
    "input_tokens": 10,
    "output_tokens": 20,
    "cache_read_input_tokens": 70,
    "cache_creation_input_tokens": 20,
}


def chat() -> dict[str, Any]:
    message = {"role": "assistant", "content": "Hello"}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": CHAT_USAGE,
    }


def chat_chunks() -> Iterator[tuple[str | None, Any]]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": MODEL}
    for text in ("Hel", "lo"):
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}}
        yield None, {**head, "choices": [{**choice, "finish_reason": None}], "usage": None}
    end = {"index": 0, "delta": {}, "finish_reason": "stop"}
    yield None, {**head, "choices": [end], "usage": None}
    yield None, {**head, "choices": [], "usage": CHAT_USAGE}


def response(status: str = "completed") -> dict[str, Any]:
    text = {"type": "output_text", "text": "Hello", "annotations": []}
    message = {"type": "message", "id": "msg_1", "status": status, "role": "assistant"}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "model": MODEL,
        "status": status,
        "output": [{**message, "content": [text]}],
        "parallel_tool_calls": False,
        "tool_choice": "auto",
        "tools": [],
        "usage": RESPONSES_USAGE if status == "completed" else None,
    }


def response_events() -> Iterator[tuple[str | None, Any]]:
    begun = response("in_progress")
    yield "response.created", {"type": "response.created", "response": begun}
    delta = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "delta": "Hello"}
    yield "response.output_text.delta", {"type": "response.output_text.delta", **delta}
    yield "response.completed", {"type": "response.completed", "response": response()}


def message(usage: dict[str, int] = MESSAGES_USAGE) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "Hello"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": usage,
    }


def message_events() -> Iterator[tuple[str | None, Any]]:
    begun = {**message({**MESSAGES_USAGE, "output_tokens": 1}), "content": [], "stop_reason": None}
    block = {"type": "text", "text": ""}
    events: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": block},
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": "Hello"},
        },
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 20},
        },
        {"type": "message_stop"},
    ]
    for event in events:
        yield str(event["type"]), event


SHAPES: dict[str, tuple[Callable[[], Any], Callable[[], Iterator[tuple[str | None, Any]]]]] = {
    CHAT: (chat, chat_chunks),
    RESPONSES: (response, response_events),
    MESSAGES: (message, message_events),
}


def reply(path: str, body: bytes) -> Answer:
    """Answer as the providers do, in one piece or as server-sent events."""
    whole, events = SHAPES[path.partition("?")[0]]
    if not json.loads(body).get("stream"):
        return Answer(chunks=[json.dumps(whole()).encode()])
    chunks = [_event(name, data) for name, data in events()]
    end = [b"data: [DONE]\n\n"] if path == CHAT else []
    return Answer(chunks=chunks + end, content_type="text/event-stream")


def _event(name: str | None, data: Any) -> bytes:
    head = f"event: {name}\n" if name else ""
    return f"{head}data: {json.dumps(data)}\n\n".encode()
