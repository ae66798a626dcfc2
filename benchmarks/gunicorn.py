"""The part about a server: what a request to gunicorn costs more because it is measured."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from statistics import median

from benchmarks.peers import DJANGO_PROMETHEUS, NONE, OURS, Peer
from benchmarks.plan import Plan
from benchmarks.rounds import Rounds
from benchmarks.server import Burst, serving
from benchmarks.tables import table

_PEERS = (NONE, OURS, DJANGO_PROMETHEUS)

_WHAT = """\
gunicorn with two sync workers, under `wrk` with four connections on the same machine, each for
one GET. The three services run side by side and are loaded one after the other, in short
bursts by turns. `wrk` takes its share of the same CPUs: how many requests are answered in a
second tells more about that than about metrics. What counts is the CPU that the workers used
per request, and by how much it is more than that of the service without metrics in the same
turn: of the bursts of a round, the median, for no burst is short enough to be undisturbed."""


def run(plan: Plan) -> str:
    """Return the section of the page; without ``wrk``, one that says so."""
    title = "## What a request to gunicorn costs more"
    if shutil.which("wrk") is None:
        return f"{title}\n\nNot measured: `wrk` is not installed."
    rounds = Rounds()
    for place in range(plan.gunicorn_rounds):
        _measure(rounds, plan, _PEERS if place % 2 == 0 else tuple(reversed(_PEERS)))
    return "\n\n".join([title, _WHAT, _ratio(rounds), _times(rounds)])


def _measure(rounds: Rounds, plan: Plan, order: tuple[Peer, ...]) -> None:
    turns = _coalescer(plan, order)
    rounds.add(
        {
            peer: {
                "cpu": median(turn[peer].cpu_per_request for turn in turns),
                "added": median(
                    turn[peer].cpu_per_request - turn[NONE].cpu_per_request for turn in turns
                ),
                "rate": median(turn[peer].requests_per_second for turn in turns),
            }
            for peer in order
        }
    )


def _coalescer(plan: Plan, order: tuple[Peer, ...]) -> list[dict[Peer, Burst]]:
    with ExitStack() as stack:
        servers = {peer: stack.enter_context(serving(peer)) for peer in order}
        turns = [
            {peer: server.load(plan.burst_seconds) for peer, server in servers.items()}
            for _ in range(1 + plan.bursts)
        ]
    # In its first burst a server makes what it uses again later.
    return turns[1:]


def _ratio(rounds: Rounds) -> str:
    share = rounds.ratio(OURS, DJANGO_PROMETHEUS, "added")
    return table(
        ("tachikoma_metrics as a share of", "CPU more per request"),
        [(DJANGO_PROMETHEUS.title, share.text())],
    )


def _times(rounds: Rounds) -> str:
    return table(
        ("", "µs of CPU per request", "of these, for metrics", "requests per second"),
        (
            (
                peer.title,
                rounds.absolute(peer, "cpu").text(1e6),
                "" if peer is NONE else rounds.absolute(peer, "added").text(1e6),
                rounds.absolute(peer, "rate").text(),
            )
            for peer in _PEERS
        ),
    )
