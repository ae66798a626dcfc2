"""Hundreds of processes come and go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.scripts import run


@pytest.mark.parametrize("generations", [25, pytest.param(150, marks=pytest.mark.thorough)])
def test_a_long_life_leaves_no_trace(directory: Path, generations: int):
    script = """
    from tachikoma_metrics.recording.recorders import DB_QUERY

    def work(events):
        for number in range(events):
            DB_QUERY.record_valid(("select", f"table {number %% 20}", ""), (1.0, 0.001))

    def generation(size, events):
        children = []
        for _ in range(size):
            pid = os.fork()
            if pid == 0:
                try:
                    work(events)
                finally:
                    os._exit(0)
            children.append(pid)
        for pid in children:
            os.waitpid(pid, 0)

    def memory():
        gc.collect()
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1])

    def sizes():
        return {os.stat(f"{os.environ['STORE']}/{name}").st_size for name in slots()}

    generation(4, 500)
    page, before, used = len(METRICS.encode()), memory(), sizes()
    for _ in range(%(generations)d):
        generation(4, 500)
        METRICS.encode()

    total = sum(v for (name, _), v in samples().items() if name == "db_queries_total")
    assert total == (%(generations)d + 1) * 4 * 500, total
    # One for each process that lived at a time, and for this one.
    assert len(slots()) <= 5, slots()
    assert sizes() == used, (used, sizes())
    assert abs(len(METRICS.encode()) - page) < 500
    assert memory() - before < 500, (before, memory())
    """
    run(script % {"generations": generations}, directory)
