"""A server that answers as OpenAI's does, for the client that pages make."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from tests.origins import Answer, Origin

_ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-5",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hello"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
}


@contextmanager
def answering() -> Iterator[dict[str, str]]:
    """Serve, and return the environment that leads OpenAI's SDK there."""
    body = json.dumps(_ANSWER).encode()
    with Origin(lambda path, request: Answer(chunks=(body,))).running() as origin:
        yield {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": f"{origin.url}/v1"}
