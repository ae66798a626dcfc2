"""Exemplars of Celery's tasks, beside an instrument of traces that receives the same signals."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("celery", reason="the demo's environment has it")
pytest.importorskip("opentelemetry.sdk", reason="the demo's environment has it")

from celery import signals
from opentelemetry.sdk.trace import TracerProvider

from tests.exemplars import labels_in
from tests.task_runs.conftest import Broker, by_signals

DURATIONS = "task_run_duration_seconds_bucket"


def works() -> None:
    pass


class Instrument:
    """Trace each task from one signal to the other, as OpenTelemetry's instrument does."""

    def __init__(self) -> None:
        self._tracer = TracerProvider().get_tracer(__name__)
        self._open: Any = None
        self.trace_ids: list[str] = []

    def begin(self, **_: Any) -> None:
        self._open = self._tracer.start_as_current_span("task")
        context = self._open.__enter__().get_span_context()
        self.trace_ids.append(f"{context.trace_id:032x}")

    def end(self, **_: Any) -> None:
        self._open.__exit__(None, None, None)

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        signals.task_prerun.connect(self.begin)
        signals.task_postrun.connect(self.end)
        yield
        signals.task_prerun.disconnect(self.begin)
        signals.task_postrun.disconnect(self.end)


@pytest.mark.parametrize("is_first", [True, False])
def test_an_exemplar_names_the_trace_whoever_receives_the_signals_first(
    is_first: bool, monkeypatch: pytest.MonkeyPatch, settings
):
    settings.TACHIKOMA_METRICS = {"EXEMPLARS": "auto"}
    instrument = Instrument()
    contexts = [instrument.connected(), by_signals(monkeypatch)]
    with contextlib.ExitStack() as stack:
        for context in contexts if is_first else reversed(contexts):
            stack.enter_context(context)
        broker = Broker()
        broker.task(works).delay()
        broker.work()
        broker.close()

    assert [one["trace_id"] for one in labels_in(DURATIONS)] == instrument.trace_ids
