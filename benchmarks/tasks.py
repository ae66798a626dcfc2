"""The part about tasks: what one that does nothing costs more because it is measured."""

from __future__ import annotations

from benchmarks.conversation import conversation, files_of
from benchmarks.peers import CELERY_EVENTS, OPENTELEMETRY, OPENTELEMETRY_TRACES, OURS, Peer
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, times

_OTHERS = (OPENTELEMETRY, OPENTELEMETRY_TRACES, CELERY_EVENTS)
_FIGURES = {"task": "CPU"}

_WHAT = """\
The CPU that a Celery task which does nothing costs more, its publisher and its worker together:
`apply_async()`, a message in memory, and the code by which a worker of one process receives and
runs it. tachikoma_metrics counts the task that is sent, its wait, and its run with the duration.
OpenTelemetry's instrumentation has one histogram, and is made for traces: with a tracer provider
it makes two spans of each task, which here are exported nowhere. *Events* is what
Celery itself does for celery-exporter (`worker -E`, `task_send_sent_event`): four events, which
here no exporter receives."""


def run(plan: Plan) -> str:
    """Return the section of the page."""

    def measure(peer: Peer) -> Figures:
        with files_of(peer) as folder, conversation("tasks", peer, folder) as process:
            return process.ask("measure", plan.task_repeats)

    rounds = Rounds.run(plan.task_rounds, (OURS, *_OTHERS), measure)
    return "\n\n".join(
        [
            "## What a task costs more",
            _WHAT,
            ratios(rounds, OURS, _OTHERS, _FIGURES),
            times("µs of CPU more per task", rounds, (OURS, *_OTHERS), _FIGURES),
        ]
    )
