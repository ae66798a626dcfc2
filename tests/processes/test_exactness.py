"""Whatever threads, forks, signals and kills do, nothing is lost and nothing counted twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.processes.scripts import run


@pytest.mark.parametrize("number", [1_000, pytest.param(10_000, marks=pytest.mark.thorough)])
def test_threads_and_forks_lose_nothing(directory: Path, number: int):
    script = """
    # Threads take turns many times, however few changes each makes.
    sys.setswitchinterval(0.0002)
    counter = Counter("things", "Things.")
    histogram = Histogram("sizes", "Sizes.", ["kind"])

    def work():
        child = histogram.labels("a")
        for _ in range(%(number)d):
            counter.inc()
            child.observe(0.3)
            METRICS.cache_hits_total.inc()
            record_db_query("select", "orders", 0.1)

    def worker():
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    children = [os.fork() or (worker(), os._exit(0)) for _ in range(4)]
    for pid in children:
        os.waitpid(pid, 0)
    assert sample_value("things_total") == 32 * %(number)d
    assert sample_value("sizes_count", kind="a") == 32 * %(number)d
    assert sample_value("cache_hits_total") == 32 * %(number)d
    assert sample_value("db_queries_total", operation="select", table="orders") == 32 * %(number)d
    assert len(slots()) <= 5, slots()
    """
    run(script % {"number": number}, directory)


@pytest.mark.parametrize("forks", [50, pytest.param(200, marks=pytest.mark.thorough)])
def test_a_fork_in_the_midst_of_it_never_hangs(directory: Path, forks: int):
    script = """
    histogram = Histogram("sizes", "Sizes.", ["kind"])
    is_over = False
    # Forks come in the midst of changes, and none waits long for its turn.
    sys.setswitchinterval(0.0005)

    def work():
        while not is_over:
            histogram.labels("parent").observe(1)
            METRICS.file_changes_total.labels("modify", "applied").inc()

    thread = threading.Thread(target=work)
    thread.start()
    for number in range(%(forks)d):
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)
            histogram.labels(f"child {number %% 3}").observe(1)
            METRICS.file_changes_total.labels("create", "applied").inc()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    is_over = True
    thread.join()
    assert sample_value("file_changes_total", change_type="create", status="applied") == %(forks)d
    assert sum(sample_value("sizes_count", kind=f"child {n}") for n in range(3)) == %(forks)d
    assert slots() == ["slot-0", "slot-1"], slots()
    """
    run(script % {"forks": forks}, directory)


def test_a_signal_handler_that_records_neither_hangs_nor_loses_anything(directory: Path):
    script = """
    counter = Counter("things", "Things.")
    caught = 0

    def record(number, frame):
        global caught
        caught += 1
        counter.inc()
        record_file_change("modify", "applied")

    signal.signal(signal.SIGALRM, record)
    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)
    for _ in range(100_000):
        counter.inc()
        record_file_change("modify", "applied")
    signal.setitimer(signal.ITIMER_REAL, 0)
    assert caught > 0
    assert sample_value("things_total") == 100_000 + caught
    changes = sample_value("file_changes_total", change_type="modify", status="applied")
    assert changes == 100_000 + caught
    """
    run(script, directory)


def test_killed_processes_leave_what_they_acknowledged(directory: Path):
    script = """
    counter = Counter("things", "Things.", ["kind"])
    for number in range(20):
        kill(in_child(lambda: [counter.labels("a").inc() for _ in range(100)], live=True))
    assert sample_value("things_total", kind="a") == 2_000
    assert slots() == ["slot-0"] or slots() == ["slot-0", "slot-1"], slots()
    """
    run(script, directory)


def test_a_fork_that_python_does_not_know_of_has_a_slot_of_its_own(directory: Path):
    script = """
    import ctypes
    counter = Counter("things", "Things.")
    counter.inc(5)
    METRICS.http_requests_in_flight.inc()
    reading, writing = os.pipe()
    pid = ctypes.PyDLL(None).fork()
    if pid == 0:
        counter.inc(2)
        os.write(writing, b"done")
        time.sleep(60)
        os._exit(0)
    assert os.read(reading, 4) == b"done"
    assert slots() == ["slot-0", "slot-1"]
    assert sample_value("things_total") == 7
    assert sample_value("tachikoma_metrics_processes") == 2
    assert sample_value("http_requests_in_flight") == 1
    kill(pid)
    assert sample_value("things_total") == 7
    """
    if sys.platform != "linux":
        pytest.skip("only Linux wipes memory on fork")
    run(script, directory)


def test_an_exception_that_a_signal_raises_reaches_the_app_and_changes_no_place(directory: Path):
    script = """
    class Limit(Exception):
        pass

    def stop(number, frame):
        raise Limit

    METRICS.cache_hits_total.inc()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, stop)
        unlock = lock_directory()
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            METRICS.cache_hits_total.inc()
        except Limit:
            unlock()
            METRICS.cache_hits_total.inc(5)
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert sample_value("cache_hits_total") == 6
    """
    run(script, directory)


FORKED = {
    "track_execution": ("executions_in_progress", "executions_total"),
    "track_backend_request": ("backend_requests_in_progress", "backend_requests_total"),
}


@pytest.mark.parametrize("block", FORKED)
def test_a_forked_child_that_leaves_a_block_ends_nothing_of_its_parents(
    directory: Path, block: str
):
    gauge, total = FORKED[block]
    script = f"""
    from tachikoma_metrics import {block}

    def count():
        return sum(value for (name, _), value in samples().items() if name == "{total}")

    with {block}("openai", "gpt-5"):
        in_child(lambda: None)
        reading, writing = os.pipe()
        pid = os.fork()
    if pid == 0:
        METRICS.cache_hits_total.inc()
        os.write(writing, b"done")
        time.sleep(60)
        os._exit(0)
    assert os.read(reading, 4) == b"done"
    assert sample_value("cache_hits_total") == 1
    assert sample_value("{gauge}") == 0
    assert count() == 1
    kill(pid)
    assert count() == 1
    """
    run(script, directory, EXTRA_METRICS=["backend_requests_in_progress"])


def test_a_forked_child_that_leaves_a_request_does_not_count_it_again(directory: Path):
    script = """
    from django.http import HttpResponse
    from django.test import RequestFactory
    from tachikoma_metrics.middleware import MetricsMiddleware

    reading, writing = os.pipe()
    pids = []

    def fork(request):
        pids.append(os.fork())
        if pids[0] == 0:
            raise SystemExit
        return HttpResponse()

    try:
        MetricsMiddleware(fork)(RequestFactory().get("/"))
    except SystemExit:
        METRICS.cache_hits_total.inc()
        os.write(writing, b"done")
        time.sleep(60)
        os._exit(0)
    assert os.read(reading, 4) == b"done"
    assert sample_value("cache_hits_total") == 1
    assert sample_value("http_requests_in_flight") == 0
    counts = [value for (name, _), value in samples().items() if name == "http_requests_total"]
    (count,) = filter(None, counts)
    assert count == 1
    kill(pids[0])
    """
    run(script, directory)
