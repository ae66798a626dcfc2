"""Overhead per request to gunicorn."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from statistics import median

from benchmarks.plan import Plan
from benchmarks.rounds import Rounds
from benchmarks.server import Burst, serving
from benchmarks.tables import table
from benchmarks.variants import DJANGO_PROMETHEUS, NONE, TACHIKOMA, Variant

_VARIANTS = (NONE, TACHIKOMA, DJANGO_PROMETHEUS)

_METHOD = """\
gunicorn with two sync workers, loaded by `wrk` with four connections on the same machine; each
connection sends one GET. The three services run in parallel and are loaded alternately, in
short bursts. `wrk` uses the same CPUs, so the requests per second depend on `wrk` more than on
metrics. The result is the CPU time of the workers per request, and the difference to the
service without metrics in the same turn. Each value is the median of the bursts of a round,
because other load can disturb every burst."""


def run(plan: Plan) -> str:
    """Return the section; without ``wrk``, a section that states that."""
    title = "## Overhead per request to gunicorn"
    if shutil.which("wrk") is None:
        return f"{title}\n\nNot measured: `wrk` is not installed."
    rounds = Rounds()
    for place in range(plan.gunicorn_rounds):
        _measure(rounds, plan, _VARIANTS if place % 2 == 0 else tuple(reversed(_VARIANTS)))
    return "\n\n".join([title, _METHOD, _ratio(rounds), _times(rounds)])


def _measure(rounds: Rounds, plan: Plan, order: tuple[Variant, ...]) -> None:
    turns = _turns(plan, order)
    rounds.add(
        {
            variant: {
                "cpu": median(turn[variant].cpu_per_request for turn in turns),
                "added": median(
                    turn[variant].cpu_per_request - turn[NONE].cpu_per_request for turn in turns
                ),
                "rate": median(turn[variant].requests_per_second for turn in turns),
            }
            for variant in order
        }
    )


def _turns(plan: Plan, order: tuple[Variant, ...]) -> list[dict[Variant, Burst]]:
    with ExitStack() as stack:
        servers = {variant: stack.enter_context(serving(variant)) for variant in order}
        turns = [
            {variant: server.load(plan.burst_seconds) for variant, server in servers.items()}
            for _ in range(1 + plan.bursts)
        ]
    # The first burst fills the caches of a server.
    return turns[1:]


def _ratio(rounds: Rounds) -> str:
    share = rounds.ratio(TACHIKOMA, DJANGO_PROMETHEUS, "added")
    return table(
        ("tachikoma_metrics as a share of", "added CPU per request"),
        [(DJANGO_PROMETHEUS.title, share.text())],
    )


def _times(rounds: Rounds) -> str:
    return table(
        ("", "µs of CPU per request", "of which metrics", "requests per second"),
        (
            (
                variant.title,
                rounds.absolute(variant, "cpu").text(1e6),
                "" if variant is NONE else rounds.absolute(variant, "added").text(1e6),
                rounds.absolute(variant, "rate").text(),
            )
            for variant in _VARIANTS
        ),
    )
