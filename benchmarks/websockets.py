"""Overhead per WebSocket message."""

from __future__ import annotations

from benchmarks.measuring_process import isolated_process
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import times
from benchmarks.variants import TACHIKOMA, Variant

_COLUMNS = {
    "bare": "not wrapped",
    "plain": "added when wrapped",
    "types": "added with `WS_MESSAGE_TYPES`",
}

_METHOD = """\
The CPU time that instrumentation adds to a message of an ASGI application, which sends each
message back: half of the messages are received and half are sent. No server and no socket are
involved; they would use many times as much. The messages are JSON of 80 characters, which is
parsed only with `WS_MESSAGE_TYPES`. Each process checks that the messages of the instrumented
application were counted. None of the other packages counts messages."""


def run(plan: Plan) -> str:
    """Return the section."""

    def measure(variant: Variant) -> Figures:
        with isolated_process("websockets", variant) as process:
            return process.call("measure", plan.messages, plan.message_repeats)

    rounds = Rounds.run(plan.message_rounds, (TACHIKOMA,), measure)
    return "\n\n".join(
        [
            "## Overhead per WebSocket message",
            _METHOD,
            times("µs of CPU per message", rounds, (TACHIKOMA,), _COLUMNS),
        ]
    )
