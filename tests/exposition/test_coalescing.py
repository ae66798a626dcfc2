"""Threads that wait for the same result share it."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tachikoma_metrics.exposition import Coalescer


def test_threads_that_wait_share_a_result_that_is_newer_than_their_calls():
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


def test_work_that_raises_is_run_again_by_the_next_thread():
    coalescer: Coalescer[int] = Coalescer()
    calls: list[int] = []

    def work() -> int:
        calls.append(1)
        if len(calls) == 1:
            raise ValueError
        return len(calls)

    with pytest.raises(ValueError):  # noqa: PT011  # It has no words.
        coalescer.run("page", work)
    assert coalescer.run("page", work) == 2


def test_a_recursive_call_does_not_wait():
    coalescer: Coalescer[str] = Coalescer()

    assert coalescer.run("page", lambda: coalescer.run("page", lambda: "inner")) == "inner"
