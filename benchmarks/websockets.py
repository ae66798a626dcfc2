"""The part about WebSockets: what a message costs more because it is counted."""

from __future__ import annotations

from benchmarks.conversation import conversation, files_of
from benchmarks.peers import OURS, Peer
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import times

_WAYS = {
    "bare": "not wrapped",
    "plain": "more when wrapped",
    "types": "more with `WS_MESSAGE_TYPES`",
}

_WHAT = """\
The CPU that a message takes more in an ASGI application that is wrapped, which sends each back:
half of the messages are received and half are sent. There is no server and no socket, which
would take many times as much. The messages are JSON of 80 characters, which is looked into only
with `WS_MESSAGE_TYPES`. Each process makes sure that the messages of the wrapped one were counted.
No other package here counts them, so there is nobody to compare with."""


def run(plan: Plan) -> str:
    """Return the section of the page."""

    def measure(peer: Peer) -> Figures:
        with files_of(peer) as folder, conversation("websockets", peer, folder) as process:
            return process.ask("measure", plan.messages, plan.message_repeats)

    rounds = Rounds.run(plan.message_rounds, (OURS,), measure)
    return "\n\n".join(
        [
            "## What a WebSocket message costs more",
            _WHAT,
            times("µs of CPU per message", rounds, (OURS,), _WAYS),
        ]
    )
