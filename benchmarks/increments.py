"""Cost of changing a custom metric."""

from __future__ import annotations

from benchmarks.measuring_process import isolated_process
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, times
from benchmarks.variants import (
    CLIENT_MULTIPROCESS,
    PROMETHEUS_CLIENT,
    TACHIKOMA,
    Variant,
)

_OTHERS = (CLIENT_MULTIPROCESS, PROMETHEUS_CLIENT)
_CHANGES = {
    "counter": "`Counter.inc()`",
    "child": "`inc()` of a stored child",
    "histogram": "`Histogram.observe()`",
    "native": "`Histogram.observe()`, in native buckets too",
}

_METHOD = """\
Metrics that a project creates with prometheus_client, changed in a loop by one thread. With
tachikoma_metrics installed, their values are in shared memory as well, and one histogram counts in
native buckets, which prometheus_client does not have."""


def run(plan: Plan) -> str:
    """Return the section."""

    def measure(variant: Variant) -> Figures:
        with isolated_process("increments", variant) as process:
            return process.call("measure", plan.increment_repeats, plan.increments)

    rounds = Rounds.run(plan.increment_rounds, (TACHIKOMA, *_OTHERS), measure)
    return "\n\n".join(
        [
            "## Cost of a custom metric",
            _METHOD,
            ratios(rounds, TACHIKOMA, _OTHERS, _CHANGES),
            times("µs of CPU per change", rounds, (TACHIKOMA, *_OTHERS), _CHANGES),
        ]
    )
