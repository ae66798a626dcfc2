"""Changes that exclude each other."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tachikoma_metrics.store import exclusion


def test_without_a_global_interpreter_lock_changes_take_a_lock(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(exclusion, "HAS_GIL", False)
    inside: list[int] = []

    @exclusion.one_at_a_time
    def work() -> int:
        inside.append(1)
        time.sleep(0.001)
        return len(inside) - (inside.pop() - 1)

    with ThreadPoolExecutor(8) as pool:
        assert {pool.submit(work).result() for _ in range(20)} == {1}
        assert {future.result() for future in [pool.submit(work) for _ in range(20)]} == {1}
