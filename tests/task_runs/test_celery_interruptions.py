"""Exceptions from outside, such as a soft time limit, in what measures a run of a task."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
from time import time_ns
from typing import Any

import pytest

pytest.importorskip("celery", reason="the demo's environment has it")

from celery.app import trace

from tachikoma_metrics.task_runs import celery_messages, celery_tracers
from tachikoma_metrics.testing import sample_value
from tests.interrupted import NEVER, Sender, by_signal, by_thread, interrupt, raising_handler

_STEP = 7 if os.environ.get("HYPOTHESIS_PROFILE") == "few" else 1
"""As in the tests of all other pieces of work."""


class Limit(Exception):
    """Made without an argument, as Celery's."""


def _counted() -> float:
    runs = (
        sample_value("task_runs_total", task="tests.limited", queue="celery", outcome=outcome)
        for outcome in ("success", "failure")
    )
    return sum(number or 0 for number in runs)


def _succeeds(*_: object) -> Any:
    return trace.trace_ok_t(None, None, 0.1, "")


def _fails(*_: object) -> Any:
    return trace.trace_ok_t(None, trace.TraceInfo("FAILURE", ValueError()), 0.1, "")


def _raises(*_: object) -> Any:
    raise ValueError("as an eager task")


@pytest.mark.parametrize("sender", [by_signal, by_thread])
@pytest.mark.parametrize("runs", [_succeeds, _fails, _raises])
def test_it_reaches_the_caller_and_leaves_no_run_in_progress(
    monkeypatch: pytest.MonkeyPatch, runs: Any, sender: Sender
):
    build: Any = trace.build_tracer
    monkeypatch.setattr(trace, "build_tracer", lambda *_, **__: runs)
    celery_tracers.install()
    task = type("Task", (), {"name": "tests.limited"})
    run = trace.build_tracer("tests.limited", task)
    monkeypatch.setattr(trace, "build_tracer", build)

    def work() -> None:
        stamp = f"{time_ns() // 1000}{celery_messages.MICROSECONDS}celery"
        request = {celery_messages.HEADER: stamp, "id": "id", "eta": None}
        with contextlib.suppress(ValueError):
            run("id", (), {}, request)

    for _ in range(3):
        interrupt(work, NEVER, sender, Limit)
    with raising_handler(Limit) as raised:
        for place in itertools.count(random.randrange(_STEP), _STEP):  # noqa: S311  # No secret.
            before = _counted()
            error, was_sent = interrupt(work, place, sender, Limit)
            if not was_sent:
                break
            is_the_same = error is raised[-1] if sender is by_signal else type(error) is Limit
            # A reference to the exception would keep the interrupted objects alive.
            error = None
            raised.clear()

            work()

            assert is_the_same, place
            assert sample_value("task_runs_in_progress") == 0, place
            assert before + 1 <= _counted() <= before + 2, place
    assert place > 0
