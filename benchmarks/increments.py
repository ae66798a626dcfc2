"""The part about a project's own metrics: what changing one costs."""

from __future__ import annotations

from benchmarks.conversation import conversation, files_of
from benchmarks.peers import OURS, STOCK, STOCK_SHARED, Peer
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, times

_OTHERS = (STOCK_SHARED, STOCK)
_CHANGES = {
    "counter": "`Counter.inc()`",
    "child": "`inc()` of a remembered child",
    "histogram": "`Histogram.observe()`",
}

_WHAT = """\
Metrics that a project makes with prometheus_client, changed in a loop by one thread. With
tachikoma_metrics installed, their values live where its own do."""


def run(plan: Plan) -> str:
    """Return the section of the page."""

    def measure(peer: Peer) -> Figures:
        with files_of(peer) as folder, conversation("increments", peer, folder) as process:
            return process.ask("measure", plan.increment_repeats, plan.increments)

    rounds = Rounds.run(plan.increment_rounds, (OURS, *_OTHERS), measure)
    return "\n\n".join(
        [
            "## What a metric of your own costs",
            _WHAT,
            ratios(rounds, OURS, _OTHERS, _CHANGES),
            times("µs of CPU per change", rounds, (OURS, *_OTHERS), _CHANGES),
        ]
    )
