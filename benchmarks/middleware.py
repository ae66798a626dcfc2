"""The part about requests: what each costs more because it is measured."""

from __future__ import annotations

from benchmarks.conversation import conversation, files_of
from benchmarks.peers import (
    DJANGO_PROMETHEUS,
    OPENTELEMETRY,
    OURS,
    STOCK,
    STOCK_SHARED,
    Peer,
)
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, times

_OTHERS = (DJANGO_PROMETHEUS, OPENTELEMETRY, STOCK_SHARED, STOCK)
_PLACES = {
    "alone": "middleware alone",
    "alone_async": "alone, async",
    "wsgi": "in the WSGI handler",
    "asgi": "in the ASGI handler",
}

_WHAT = """\
The CPU that a request takes more than in the same stack without the middleware: a POST
with a body and eight headers, answered by a view that returns a few bytes. *Alone*, the
middleware is called around the view with a request whose route has been found, and *async*
around a view that is a coroutine; *in the
WSGI handler*, Django does everything that it does under a server. *In the ASGI handler*, with
a view that is a coroutine, it does what lies between the request and the response: what it
does around that, in threads, is the same for all and several times as expensive."""

_FAIRNESS = """\
They do not record the same. tachikoma_metrics and both rows of prometheus_client record one
counter, three histograms and a gauge; the rows of prometheus_client are a middleware written
for this comparison, which remembers its series and leaves out streams, limits and faults.
django-prometheus records more families, through its two middlewares. OpenTelemetry, with
its stable conventions, records one histogram and one gauge, makes the attributes of a trace
that nobody collects, and shares nothing between processes. Under ASGI, Django moves each
request to a thread and back for its middleware, which is not async, and for each hook of
those of django-prometheus."""


def run(plan: Plan) -> str:
    """Return the section of the page."""

    def measure(peer: Peer) -> Figures:
        with files_of(peer) as folder, conversation("middleware", peer, folder) as process:
            return process.ask("measure", plan.middleware_repeats)

    rounds = Rounds.run(plan.middleware_rounds, (OURS, *_OTHERS), measure)
    return "\n\n".join(
        [
            "## What a request costs more",
            _WHAT,
            ratios(rounds, OURS, _OTHERS, _PLACES),
            _FAIRNESS,
            times("µs of CPU more per request", rounds, (OURS, *_OTHERS), _PLACES),
        ]
    )
