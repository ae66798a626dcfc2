"""The history is noted by one process at a time, and goes on when that is killed."""

from __future__ import annotations

import os
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tachikoma_metrics.live.history import STEP_SECONDS
from tachikoma_metrics.live.sampler import SECONDS_BETWEEN_TRIES
from tests.processes import scripts

PRELUDE = """
from tachikoma_metrics.live import sampler
from tachikoma_metrics.live.sampler import SAMPLER, history
from django.core.signals import request_started
from tachikoma_metrics.store import STORE

def steps(count):
    found = []
    for _ in range(count):
        METRICS.cache_hits_total.inc()
        found.append(SAMPLER.step())
        time.sleep(0.002)
    return found

def times():
    return len(history().times)
"""


@pytest.fixture(autouse=True)
def _forks() -> None:
    if not hasattr(os, "fork"):
        pytest.skip("needs fork()")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"


def script(text: str) -> str:
    return PRELUDE + textwrap.dedent(text)


def run(text: str, directory: Path, **settings: Any) -> str:
    return scripts.run(text, directory, **settings).strip()


def test_all_processes_read_the_history_that_one_notes(directory: Path):
    found = run(
        script("""
        pid = in_child(steps, 3, live=True)
        print(SAMPLER.step(), times())
        kill(pid)
        """),
        directory,
    )

    assert found == "False 2"


def test_another_process_goes_on_when_the_sampler_is_killed(directory: Path):
    found = run(
        script("""
        pid = in_child(steps, 3, live=True)
        kill(pid)
        print(SAMPLER.step(), times())
        """),
        directory,
    )

    assert found == "True 3"


def test_the_time_without_a_sampler_is_less_than_ten_seconds():
    assert SECONDS_BETWEEN_TRIES < 10 - STEP_SECONDS


def test_a_thread_notes_the_history_from_the_first_request_on(directory: Path):
    found = run(
        script("""
        sampler.STEP_SECONDS = sampler.SECONDS_BETWEEN_TRIES = 0.02
        sampler.install()
        METRICS.cache_hits_total.inc()
        give_up_at = time.monotonic() + 30

        def serve():
            request_started.send(None)
            count = times()
            while times() <= count + 2 and time.monotonic() < give_up_at:
                time.sleep(0.01)
            print(times() > count + 2, SAMPLER._thread.daemon, flush=True)
            request_started.send(None)

        print(SAMPLER._thread, flush=True)
        in_child(serve)
        in_child(serve)
        print(SAMPLER._thread)
        serve()
        print(threading.active_count())
        """),
        directory,
    )

    assert found.split() == ["None", *["True", "True"] * 2, "None", "True", "True", "2"]


def test_a_service_that_comes_back_goes_on_with_its_history(directory: Path):
    counted = script("steps(3); print(times())")

    assert run(counted, directory) == "2"
    assert run(counted, directory) == "5"


def test_a_service_that_starts_from_zero_has_a_new_history(directory: Path):
    counted = script("steps(3); print(times())")

    assert run(counted, directory, KEEP_TOTALS=0) == "2"
    assert run(counted, directory, KEEP_TOTALS=0) == "2"


def test_a_directory_that_was_removed_gets_the_history_again(directory: Path):
    found = run(
        script("""
        import shutil
        steps(3)
        shutil.rmtree(os.environ["STORE"])
        STORE.revisit()
        print(steps(3)[-1], times())
        """),
        directory,
    )

    assert found.split()[0] == "True"
    assert int(found.split()[1]) >= 2


def test_without_a_shared_directory_each_process_has_its_own_history(directory: Path):
    found = run(script("print(steps(3), times())"), directory, STORE_DIR=None)

    assert found == "[True, True, True] 2"


def test_a_history_that_is_read_does_not_change_meanwhile(directory: Path):
    found = run(
        script("""
        steps(3)
        read = history()
        steps(3)
        print(len(read.times), {len(column) for column in read.columns.values()}, times())
        """),
        directory,
        STORE_DIR=None,
    )

    assert found == "2 {2} 5"


def test_a_process_without_room_for_a_thread_goes_on(directory: Path):
    found = run(
        script("""
        import logging
        logging.getLogger("tachikoma_metrics").setLevel("CRITICAL")

        def fail(thread):
            raise RuntimeError("can't start new thread")

        threading.Thread.start = fail
        sampler.install()
        request_started.send(None)
        print(sample_value("tachikoma_metrics_errors_total", source="live"))
        """),
        directory,
    )

    assert found == "1.0"


def test_a_history_without_room_is_an_error_that_is_counted(directory: Path):
    found = run(
        script("""
        import logging
        steps(1)
        os.mkdir(os.path.join(os.environ["STORE"], "attached-history.unfinished"))
        logging.getLogger("tachikoma_metrics").setLevel("CRITICAL")
        print(SAMPLER._try_step(), sample_value("tachikoma_metrics_errors_total", source="live"))
        """),
        directory,
    )

    assert found == "True 1.0"
