"""Threads that ask for the same work at the same time share it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tachikoma_metrics.exposition import Coalescer


def test_threads_that_wait_share_the_work_that_begins_after_they_asked():
    coalescer: Coalescer[int] = Coalescer()
    done: list[int] = []
    is_begun, may_end = threading.Event(), threading.Event()

    def work() -> int:
        is_begun.set()
        may_end.wait(20)
        done.append(len(done) + 1)
        return done[-1]

    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(coalescer.run, "page", work)
        is_begun.wait(20)
        others = [pool.submit(coalescer.run, "page", work) for _ in range(5)]
        while len(coalescer.waiting) < 1:
            time.sleep(0.001)
        time.sleep(0.1)
        may_end.set()

        assert first.result() == 1
        assert {other.result() for other in others} == {2}


def test_work_that_fails_is_tried_again_by_each_thread():
    coalescer: Coalescer[int] = Coalescer()
    calls: list[int] = []

    def work() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return len(calls)

    with pytest.raises(ValueError):  # noqa: PT011  # It has no message.
        coalescer.run("page", work)
    assert coalescer.run("page", work) == 2


def test_work_that_asks_for_itself_does_not_wait():
    coalescer: Coalescer[str] = Coalescer()

    assert coalescer.run("page", lambda: coalescer.run("page", lambda: "inner")) == "inner"
