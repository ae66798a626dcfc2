"""Overhead per request."""

from __future__ import annotations

from benchmarks.measuring_process import isolated_process
from benchmarks.plan import Plan
from benchmarks.rounds import Figures, Rounds
from benchmarks.tables import ratios, times
from benchmarks.variants import (
    CLIENT_MULTIPROCESS,
    DJANGO_PROMETHEUS,
    EXEMPLARS,
    EXEMPLARS_TRACED,
    OPENTELEMETRY,
    PROMETHEUS_CLIENT,
    TACHIKOMA,
    WITH_VIEW,
    Variant,
)

_OTHERS = (DJANGO_PROMETHEUS, OPENTELEMETRY, CLIENT_MULTIPROCESS, PROMETHEUS_CLIENT)
_VARIANTS = (TACHIKOMA, WITH_VIEW, EXEMPLARS, EXEMPLARS_TRACED, *_OTHERS)
_COLUMNS = {
    "alone": "middleware alone",
    "alone_async": "alone, async",
    "wsgi": "in the WSGI handler",
    "asgi": "in the ASGI handler",
}

_METHOD = """\
The CPU time that the middleware adds to a request: a POST with a body and eight headers, and a
view that returns a few bytes. *Alone*: the middleware is called with a request whose route is
resolved already; *async*: the view is a coroutine. *In the WSGI handler*: Django processes the
complete request, as under a server. *In the ASGI handler*: the view is a coroutine, and Django
processes the request from its creation to the response. The work in threads before and after
that is excluded: it is the same for all variants and several times as expensive."""

_COMPARABILITY = """\
The variants record different metrics. tachikoma_metrics and both rows of prometheus_client
record one counter, three histograms and a gauge. The rows of prometheus_client are a middleware
written for this comparison: it caches its time series, and does not handle streams, limits and
errors. django-prometheus records more metrics, in its two middlewares. OpenTelemetry, with its
stable conventions, records one histogram and one gauge, creates the attributes of a trace that
is not collected, and shares no values between processes. Under ASGI, Django moves each request
to a thread and back for OpenTelemetry's middleware, which is not async, and for each hook of
django-prometheus' middlewares. The rows with `EXEMPLARS` are tachikoma_metrics with the setting
`"auto"`, in a process without a tracer, and in a sampled span of OpenTelemetry."""


def run(plan: Plan) -> str:
    """Return the section."""

    def measure(variant: Variant) -> Figures:
        with isolated_process("middleware", variant) as process:
            return process.call("measure", plan.middleware_repeats)

    rounds = Rounds.run(plan.middleware_rounds, _VARIANTS, measure)
    return "\n\n".join(
        [
            "## Overhead per request",
            _METHOD,
            ratios(rounds, TACHIKOMA, _OTHERS, _COLUMNS),
            _COMPARABILITY,
            times("added µs of CPU per request", rounds, _VARIANTS, _COLUMNS),
        ]
    )
