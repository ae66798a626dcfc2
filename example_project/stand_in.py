"""Stand in for a language model: answer OpenAI's chat completions on loopback.

    python stand_in.py 8002

It is no model: its answers say so. Every tenth request is one too many, a ``429``.
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
TEXT = "This is no language model but a stand-in for one, and it has nothing to say."
TOO_MANY = {"error": {"message": "This is one request too many.", "type": "rate_limit_error"}}
UNKNOWN = {"error": {"message": "There is no such operation.", "type": "invalid_request_error"}}
INVALID = {"error": {"message": "This is no question.", "type": "invalid_request_error"}}


class StandIn(BaseHTTPRequestHandler):
    """Answer one request."""

    numbers = itertools.count(1)

    def do_POST(self) -> None:
        """Answer a chat completion, one in ten times with 429."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path != "/v1/chat/completions":
            return self.answer(404, UNKNOWN)
        number = next(self.numbers)
        if number % 10 == 0:
            return self.answer(429, TOO_MANY)
        try:
            question = json.loads(body)
            completion = complete(number, question)
        except (ValueError, LookupError, TypeError):
            return self.answer(400, INVALID)
        if question.get("stream"):
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


def complete(number: int, question: Any) -> dict[str, Any]:
    """Return a chat completion; its tokens are words."""
    prompt = sum(len(str(message["content"]).split()) for message in question["messages"])
    completion = len(TEXT.split())
    message = {"role": "assistant", "content": TEXT, "refusal": None}
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": question["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
        },
    }


def in_chunks(completion: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a chat completion as the chunks of a stream: word by word, and the usage last."""
    head = {**completion, "object": "chat.completion.chunk", "choices": [], "usage": None}
    for word in TEXT.split(" "):
        yield {**head, "choices": [{"index": 0, "delta": {"content": f"{word} "}}]}
    yield {**head, "usage": completion["usage"]}


if __name__ == "__main__":
    with (
        contextlib.suppress(KeyboardInterrupt),
        ThreadingHTTPServer((HOST, int(sys.argv[1])), StandIn) as server,
    ):
        server.serve_forever()
