"""Executing a spec: calls an LLM and stores the resulting file change.

Any server with OpenAI's API can be used. ``LLM_BASE_URL`` is its URL, up to ``/v1``.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
from django.conf import settings

from missions.models import FileChange, Spec
from tachikoma_metrics import record_file_change, track_execution
from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.llm.executions import Execution

BACKEND = "openai"


class ExecutionFailed(Exception):
    """Raised when the LLM sends no response, or an invalid one."""


def execute(spec: Spec) -> FileChange:
    """Execute ``spec`` and return the change it made; raise ``ExecutionFailed``."""
    change_status(spec, Spec.Status.RUNNING)
    try:
        ask(spec.title)
    except Exception as error:
        change_status(spec, Spec.Status.FAILED)
        raise ExecutionFailed(f"{type(error).__name__}: {error}") from error
    change_status(spec, Spec.Status.DONE)
    return store_change(spec)


def ask(task: str) -> str:
    """Return the LLM's response, and count its tokens."""
    request = {
        "model": settings.LLM_MODEL,
        "messages": [{"role": "user", "content": task}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    with (
        track_execution(BACKEND, settings.LLM_MODEL) as execution,
        client(settings.LLM_BASE_URL).stream("POST", "chat/completions", json=request) as response,
    ):
        return "".join(words(chunks(response.raise_for_status()), execution))


def chunks(response: httpx.Response) -> Iterator[Any]:
    """Yield the chunks of a streamed chat completion as they arrive."""
    for line in response.iter_lines():
        if line.startswith("data: {"):
            yield json.loads(line.removeprefix("data: "))


def words(chunks: Iterable[Any], execution: Execution) -> Iterator[str]:
    """Yield the text of a streamed chat completion, and record its usage."""
    for chunk in chunks:
        execution.first_chunk()
        execution.usage(chunk)
        if chunk.get("usage"):
            execution.cost(price(chunk["usage"]))
        for choice in chunk["choices"]:
            yield choice["delta"].get("content") or ""


def price(usage: Any) -> float:
    """Return what a chat completion cost, in US dollars."""
    prompt, completion = settings.LLM_PRICES
    tokens = usage["prompt_tokens"] * prompt + usage["completion_tokens"] * completion
    return float(tokens) / 1e6


@functools.cache
def client(base_url: str) -> httpx.Client:
    """Return this process's HTTP client, whose requests are measured."""
    return instrument_client(httpx.Client(base_url=base_url, timeout=60), backend=BACKEND)


def store_change(spec: Spec) -> FileChange:
    """Store and count a file change, which this example invents."""
    change = FileChange.objects.create(
        spec=spec,
        path=f"specs/{spec.id}.md",
        change_type=FileChange.ChangeType.MODIFY,
        status=FileChange.Status.APPLIED,
    )
    record_file_change(change.change_type, change.status)
    return change


def change_status(spec: Spec, status: str) -> None:
    """Change the status of ``spec``, and no field that other requests may have changed."""
    spec.status = status
    spec.save(update_fields=["status"])
