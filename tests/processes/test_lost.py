"""What was in progress in a process that died is counted, once."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.processes.scripts import run

BEGIN = """
from tachikoma_metrics.recording.events import EXECUTION, HTTP_REQUEST
from tachikoma_metrics.registry import Progress

def begin(event, number):
    for _ in range(number):
        event.begin(Progress(), time.perf_counter())

def lost():
    return sample_value("http_requests_lost_total"), sample_value("http_requests_in_flight")

"""


def run_after_begin(script: str, directory: Path, **more: str) -> None:
    assert run(BEGIN + textwrap.dedent(script) + "print('done')", directory, **more) == "done\n"


def test_what_a_killed_process_had_in_progress_moves_to_the_counter(directory: Path):
    script = """
    METRICS.cache_hits_total.inc()
    pid = in_child(begin, HTTP_REQUEST, 3, live=True)
    assert lost() == (0, 3)
    kill(pid)
    assert lost() == (3, 0)
    # The next process takes the slot over; the one after that has a slot of its own.
    second = in_child(begin, HTTP_REQUEST, 2, live=True)
    assert slots() == ["slot-0", "slot-1"]
    assert lost() == (3, 2)
    third = in_child(begin, HTTP_REQUEST, 4, live=True)
    assert lost() == (3, 6)
    kill(second)
    assert lost() == (5, 4)
    kill(third)
    assert lost() == (9, 0)
    in_child(METRICS.cache_hits_total.inc)
    assert lost() == (9, 0)
    """
    run_after_begin(script, directory)


def test_executions_that_died_with_their_process_are_counted(directory: Path):
    script = """
    assert sample_value("executions_lost_total") is None
    pid = in_child(begin, EXECUTION, 1, live=True)
    assert sample_value("executions_lost_total") == 0
    kill(pid)
    assert sample_value("executions_lost_total") == 1
    assert sample_value("http_requests_lost_total") == 0
    """
    run_after_begin(script, directory)


def test_a_process_that_ends_with_nothing_in_progress_has_lost_nothing(directory: Path):
    script = """
    def answer():
        progress = Progress()
        HTTP_REQUEST.begin(progress, time.perf_counter())
        HTTP_REQUEST.abandon(progress)

    in_child(answer)
    assert lost() == (0, 0)
    """
    run_after_begin(script, directory)


def test_a_process_that_is_stopped_has_lost_nothing(directory: Path):
    script = """
    pid = in_child(begin, HTTP_REQUEST, 1, live=True)
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    assert lost() == (0, 1)
    kill(pid)
    assert lost() == (1, 0)
    """
    run_after_begin(script, directory)


def test_a_request_that_a_forked_child_inherits_is_not_the_childs(directory: Path):
    script = """
    progress = Progress()
    HTTP_REQUEST.begin(progress, time.perf_counter())
    kill(in_child(METRICS.cache_hits_total.inc, live=True))
    assert lost() == (0, 1)
    HTTP_REQUEST.abandon(progress)
    assert lost() == (0, 0)
    """
    run_after_begin(script, directory)


@pytest.mark.parametrize("steps", range(4))
def test_a_process_that_dies_while_it_takes_a_slot_over_loses_no_count(directory: Path, steps: int):
    script = f"""
    from tachikoma_metrics.store import gauges
    whole = gauges.steps_to_count_as_lost

    def killed_in_between(values):
        yield from whole(values)[:{steps}]
        os.write(writing, b"done")
        os.kill(os.getpid(), signal.SIGKILL)

    METRICS.cache_hits_total.inc()
    kill(in_child(begin, HTTP_REQUEST, 3, live=True))
    assert lost() == (3, 0)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        gauges.steps_to_count_as_lost = killed_in_between
        METRICS.cache_hits_total.inc()
        os._exit(0)
    assert os.read(reading, 4) == b"done"
    os.waitpid(pid, 0)
    assert lost() == (3, 0)
    in_child(METRICS.cache_hits_total.inc)
    assert lost() == (3, 0)
    kill(in_child(begin, HTTP_REQUEST, 1, live=True))
    assert lost() == (4, 0)
    """
    run_after_begin(script, directory)


def test_what_was_lost_moves_with_the_directory(directory: Path):
    script = """
    import shutil
    kill(in_child(begin, HTTP_REQUEST, 2, live=True))
    METRICS.cache_hits_total.inc()
    assert slots() == ["slot-0"]
    shutil.rmtree(os.environ["STORE"])
    from tachikoma_metrics.store import STORE
    STORE.revisit()
    METRICS.cache_hits_total.inc()
    assert slots() == ["slot-0"]
    assert lost() == (2, 0)
    """
    run_after_begin(script, directory)


def test_a_namespace_is_that_of_the_counter_too(directory: Path):
    script = """
    kill(in_child(begin, HTTP_REQUEST, 1, live=True))
    assert sample_value("shop_http_requests_lost_total") == 1
    assert sample_value("http_requests_lost_total") is None
    """
    run_after_begin(script, directory, NAMESPACE="shop")
