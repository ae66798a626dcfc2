"""A fake LLM server: answers OpenAI's chat completions on loopback with a fixed text.

    python fake_llm.py 8002

Every tenth request gets the status ``429``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import sys
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

HOST = "127.0.0.1"
TEXT = "This is a fake LLM server, which always sends this text."
TOO_MANY = {"error": {"message": "Rate limit exceeded.", "type": "rate_limit_error"}}
UNKNOWN = {"error": {"message": "Unknown operation.", "type": "invalid_request_error"}}
INVALID = {"error": {"message": "Invalid request.", "type": "invalid_request_error"}}


class FakeLLM(BaseHTTPRequestHandler):
    """Handles one request."""

    numbers = itertools.count(1)

    def do_POST(self) -> None:
        """Answer a chat completion; every tenth request gets 429."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/chat/completions":
            return self.answer(404, UNKNOWN)
        number = next(self.numbers)
        if number % 10 == 0:
            return self.answer(429, TOO_MANY)
        try:
            request = json.loads(body)
            completion = complete(number, request)
        except (ValueError, LookupError, TypeError):
            return self.answer(400, INVALID)
        if request.get("stream"):
            return self.stream(completion)
        return self.answer(200, completion)

    def answer(self, status: int, content: object) -> None:
        """Send ``content`` as JSON."""
        self.send(status, "application/json", json.dumps(content).encode())

    def stream(self, completion: dict[str, Any]) -> None:
        """Send a chat completion as the events of a stream."""
        events = [*map(json.dumps, in_chunks(completion)), "[DONE]"]
        body = "".join(f"data: {event}\n\n" for event in events).encode()
        self.send(200, "text/event-stream", body)

    def send(self, status: int, content_type: str, body: bytes) -> None:
        """Send ``body``."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


def complete(number: int, request: Any) -> dict[str, Any]:
    """Return a chat completion; each word counts as a token."""
    prompt = sum(len(str(message["content"]).split()) for message in request["messages"])
    completion = len(TEXT.split())
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": request["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }


def in_chunks(completion: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a chat completion as chunks of a stream: one for each word, then the usage."""
    head = {**completion, "object": "chat.completion.chunk", "choices": [], "usage": None}
    for word in TEXT.split(" "):
        yield {**head, "choices": [{"index": 0, "delta": {"content": f"{word} "}}]}
    yield {**head, "usage": completion["usage"]}


if __name__ == "__main__":
    with (
        contextlib.suppress(KeyboardInterrupt),
        ThreadingHTTPServer((HOST, int(sys.argv[1])), FakeLLM) as server,
    ):
        server.serve_forever()
