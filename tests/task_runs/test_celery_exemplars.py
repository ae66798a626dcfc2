"""Exemplars of the runs of Celery's tasks, in a process whose settings ask for them."""

from __future__ import annotations

import os

import pytest

from tests import starter

pytest.importorskip("celery", reason="the demo's environment has it")
pytest.importorskip("opentelemetry.sdk", reason="makes the spans")

TRACED = """
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["tachikoma_metrics"],
    TACHIKOMA_METRICS={"STORE_DIR": None, "EXEMPLARS": "auto"},
)
import django
django.setup()

import celery
from celery import signals
from opentelemetry.context import attach, detach
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import set_span_in_context

tracer = TracerProvider().get_tracer("tests")
spans = {}

# As OpenTelemetry's instrumentation does: the span is over with the receiver of the end.
@signals.task_prerun.connect
def begin(task_id, **_):
    span = tracer.start_span("run")
    spans[task_id] = span, attach(set_span_in_context(span))

@signals.task_postrun.connect
def end(task_id, **_):
    span, token = spans[task_id]
    span.end()
    detach(token)

app = celery.Celery(broker="memory://", set_as_current=False)

@app.task(name="pay")
def pay():
    pass

result = pay.apply()
from tests.exemplars import exemplars_of
(found,) = exemplars_of("task_run_duration_seconds_bucket")
span, _ = spans[result.id]
assert found.labels["trace_id"] == format(span.get_span_context().trace_id, "032x"), found
from tachikoma_metrics.testing import sample_value
print(sample_value("task_runs_total", task="pay", queue="eager", outcome="success"))
"""


def test_a_run_has_the_trace_of_a_tracer_that_receives_celerys_signals():
    process = starter.start(TRACED, environment=os.environ, options=("-W", "ignore"))
    output, errors = process.communicate(timeout=60)

    assert (output, errors) == ("1.0\n", "")
