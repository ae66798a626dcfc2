"""CPU that metrics add to a Celery task."""

from __future__ import annotations

from benchmarks.measuring_process import isolated_process
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, times
from benchmarks.variants import (
    CELERY_EVENTS,
    OPENTELEMETRY,
    OPENTELEMETRY_TRACES,
    TACHIKOMA,
    Variant,
)

_OTHERS = (OPENTELEMETRY, OPENTELEMETRY_TRACES, CELERY_EVENTS)
_FIGURES = {"task": "CPU"}

_METHOD = """\
The CPU added to a Celery task that does nothing, in its publisher and its worker together:
`apply_async()`, a message in memory, and the code by which a worker of the solo pool receives
and runs it. tachikoma_metrics records the send, the wait, and the run with its duration.
OpenTelemetry's instrumentation has one histogram, and is made for traces: with a tracer provider
it makes two spans of each task, which are exported nowhere here. *Events* are what Celery sends
for celery-exporter (`worker -E`, `task_send_sent_event`): four for each task, which nothing
receives here."""


def run(plan: Plan) -> str:
    """Return the section."""

    def measure(variant: Variant) -> Figures:
        with isolated_process("tasks", variant) as process:
            return process.call("measure", plan.task_repeats)

    rounds = Rounds.run(plan.task_rounds, (TACHIKOMA, *_OTHERS), measure)
    return "\n\n".join(
        [
            "## Cost of a task",
            _METHOD,
            ratios(rounds, TACHIKOMA, _OTHERS, _FIGURES),
            times("µs of CPU more per task", rounds, (TACHIKOMA, *_OTHERS), _FIGURES),
        ]
    )
