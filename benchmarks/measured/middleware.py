"""What a request costs more because of the middleware of one peer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from benchmarks import peers
from benchmarks.measured import stacks
from benchmarks.measured.answering import answer
from benchmarks.measured.timing import Prepare, added, stay_on_one_cpu
from benchmarks.project.start import start
from benchmarks.rounds import Figures

Stack = Callable[[Sequence[str], int], Prepare]


def measure(repeats: int) -> Figures:
    """Return the seconds of CPU that a request costs more, by where it is answered."""
    loop = asyncio.new_event_loop()
    figures = {
        # So few requests at a time that some of the repeats are disturbed by nobody.
        "alone": _added(stacks.direct, 100, repeats),
        "alone_async": _added(partial(stacks.direct_async, loop), 30, repeats),
        "wsgi": _added(stacks.wsgi, 50, repeats),
        "asgi": _added(partial(stacks.asgi, loop), 30, repeats),
    }
    loop.close()
    peers.require_files()
    return figures


def _added(stack: Stack, requests: int, repeats: int) -> float:
    bare = stack((), requests)
    measured = stack(peers.current().middleware, requests)
    return added(bare, measured, repeats) / requests


if __name__ == "__main__":
    stay_on_one_cpu()
    start()
    answer({"measure": measure})
