"""Tasks of ``django.tasks``, which Django 6.0 and later have."""

from __future__ import annotations

from typing import Any

from django.tasks import task

from tachikoma_metrics.testing import sample_value

seen: list[float | None] = []
"""The runs in progress that each run of ``look`` has seen."""


@task
def add(a: int, b: int) -> int:
    return a + b


@task
async def add_async(a: int, b: int) -> int:
    return a + b


@task
def fail() -> None:
    raise LookupError("no such order")


@task
def leave() -> None:
    raise SystemExit(1)


@task
def look() -> None:
    seen.append(sample_value("task_runs_in_progress"))


@task
def look_within() -> None:
    look.enqueue()


@task(takes_context=True)
def attempt(context: Any) -> int:
    return int(context.attempt)
