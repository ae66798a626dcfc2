"""Executing a spec: a language model is asked for it, and what becomes of it is kept.

Any server of OpenAI's API does. ``LLM_BASE_URL`` says where it is, up to its ``/v1``.
"""

from __future__ import annotations

import functools

import httpx
from django.conf import settings

from missions.models import FileChange, Spec
from tachikoma_metrics import record_file_change, track_execution
from tachikoma_metrics.backends import instrument_client

BACKEND = "openai"


class ExecutionFailed(Exception):
    """Raised when there is no answer of the language model, or none that makes sense."""


def execute(spec: Spec) -> FileChange:
    """Execute ``spec`` and return the change it made; raise ``ExecutionFailed``."""
    change_status(spec, Spec.Status.RUNNING)
    try:
        ask(spec.title)
    except Exception as error:
        change_status(spec, Spec.Status.FAILED)
        raise ExecutionFailed(f"{type(error).__name__}: {error}") from error
    change_status(spec, Spec.Status.DONE)
    return note_change(spec)


def ask(task: str) -> str:
    """Return what the language model answers, and count its tokens."""
    question = {"model": settings.LLM_MODEL, "messages": [{"role": "user", "content": task}]}
    with track_execution(BACKEND, settings.LLM_MODEL) as execution:
        response = client(settings.LLM_BASE_URL).post("chat/completions", json=question)
        answer = response.raise_for_status().json()
        execution.usage(answer)
        return str(answer["choices"][0]["message"]["content"])


@functools.cache
def client(base_url: str) -> httpx.Client:
    """Return the one client of this process, whose every request is measured."""
    return instrument_client(httpx.Client(base_url=base_url, timeout=60), backend=BACKEND)


def note_change(spec: Spec) -> FileChange:
    """Keep and count the change of a file: it is made up, for this is an example."""
    change = FileChange.objects.create(
        spec=spec,
        path=f"specs/{spec.id}.md",
        change_type=FileChange.ChangeType.MODIFY,
        status=FileChange.Status.APPLIED,
    )
    record_file_change(change.change_type, change.status)
    return change


def change_status(spec: Spec, status: str) -> None:
    """Change the status of ``spec``, and nothing else that others may have changed."""
    spec.status = status
    spec.save(update_fields=["status"])
