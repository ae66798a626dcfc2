"""Overhead per request of one variant's middleware."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks import variants
from benchmarks.measured import stacks
from benchmarks.measured.commands import run_commands
from benchmarks.measured.timing import Prepare, added, stay_on_one_cpu
from benchmarks.project.start import start
from benchmarks.rounds import Figures

Stack = Callable[[Sequence[str], int], Prepare]


def measure(repeats: int) -> Figures:
    """Return the added CPU seconds per request, by stack."""
    loop = asyncio.new_event_loop()
    figures = {
        # Few requests at a time, so that some repeats are undisturbed.
        "alone": _added(stacks.direct, 100, repeats),
        "alone_async": _added(partial(stacks.direct_async, loop), 30, repeats),
        "wsgi": _added(stacks.wsgi, 50, repeats),
        "asgi": _added(partial(stacks.asgi, loop), 30, repeats),
    }
    loop.close()
    variants.require_files()
    return figures


def _added(stack: Stack, requests: int, repeats: int) -> float:
    bare = stack((), requests)
    measured = stack(variants.current().middleware, requests)
    return added(bare, measured, repeats) / requests


def _begin_span() -> None:
    """Begin a sampled span, in which all requests are."""
    from opentelemetry import trace  # Other variants must not have imported it.
    from opentelemetry.sdk.trace import TracerProvider

    trace.set_tracer_provider(TracerProvider())
    span = trace.get_tracer(__name__).start_span("requests")
    # Entered once, and never left: the span is the current one to the end.
    trace.use_span(span).__enter__()


if __name__ == "__main__":
    stay_on_one_cpu()
    start()
    if variants.current().is_traced:
        _begin_span()
    run_commands({"measure": measure})
