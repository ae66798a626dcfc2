"""Which directories are used, and what becomes of the values when one is not, or goes."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.processes.scripts import FAULT, run

EXPECT_MEMORY = """
METRICS.cache_hits_total.inc(3)
assert sample_value("cache_hits_total") == 3
assert sample_value("tachikoma_metrics_errors_total", source="store") >= 1
assert len(records) == 1, records
print(records[0].exc_info[1])
"""


def test_a_directory_that_is_a_link_is_not_used(directory: Path, tmp_path: Path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    directory.symlink_to(tmp_path / "elsewhere")

    run(EXPECT_MEMORY, directory, before=FAULT)

    assert not list((tmp_path / "elsewhere").iterdir())


def test_a_directory_that_others_may_write_is_not_used(directory: Path):
    directory.mkdir()
    directory.chmod(0o777)

    assert "Change it to 700" in run(EXPECT_MEMORY, directory, before=FAULT)


def test_a_directory_that_others_may_look_into_is_used_and_what_is_in_it_is_private(
    directory: Path,
):
    directory.mkdir()
    # As a service manager makes it.
    directory.chmod(0o755)
    script = """
    METRICS.cache_hits_total.inc()
    in_child(METRICS.cache_hits_total.inc)
    assert sample_value("cache_hits_total") == 2
    assert slots() == ["slot-0", "slot-1"]
    """
    run(script, directory)

    assert {stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()} == {0o600}


def test_others_who_lock_the_directory_keep_nobody_out(directory: Path):
    directory.mkdir(mode=0o755)
    script = """
    import fcntl
    descriptor = os.open(os.environ["STORE"], os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    METRICS.cache_hits_total.inc()
    assert slots() == ["slot-0"]
    assert not records, records
    """
    run(script, directory, before=FAULT)


def test_a_lock_that_was_removed_while_it_was_held_is_made_anew(directory: Path):
    script = """
    METRICS.cache_hits_total.inc()
    unlock = lock_directory()
    os.unlink(os.path.join(os.environ["STORE"], "lock"))
    in_child(METRICS.cache_hits_total.inc)
    assert slots() == ["slot-0", "slot-1"]
    """
    run(script, directory)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_not_used(directory: Path):
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, 12345)

    assert "must belong to user" in run(EXPECT_MEMORY, directory, before=FAULT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_one_fault_however_often_the_page_is_asked_for(
    directory: Path,
):
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, 12345)
    script = """
    from tachikoma_metrics.store import STORE
    for number in range(3):
        METRICS.cache_hits_total.inc()
        METRICS.encode()
        # As a second later.
        STORE.revisit()
    assert sample_value("cache_hits_total") == 3
    print(sample_value("tachikoma_metrics_errors_total", source="store"))
    os.chown(os.environ["STORE"], 0, 0)
    STORE.revisit()
    METRICS.cache_hits_total.inc()
    assert slots() == ["slot-0"]
    """

    assert run(script, directory, before=FAULT) == "1.0\n"


NO_LOCKS = """
import errno, fcntl
from tachikoma_metrics.store import STORE

def flock(descriptor, operation):
    raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

fcntl.flock = flock
"""


@pytest.mark.parametrize("is_there", [True, False])
def test_a_file_system_without_locks_is_not_used_and_the_checks_say_so(
    directory: Path, is_there: bool
):
    if is_there:
        directory.mkdir(mode=0o700)
    script = f"""{NO_LOCKS}
METRICS.cache_hits_total.inc(3)
assert sample_value("cache_hits_total") == 3
assert sample_value("tachikoma_metrics_errors_total", source="store") == 1
from django.core.checks import run_checks
print(*[message.msg for message in run_checks() if message.id.endswith("W008")])
"""

    assert "must be on a file system that supports locks" in run(script, directory, before=FAULT)


@pytest.mark.parametrize("error", ["EOPNOTSUPP", "EINVAL"])
def test_a_file_system_that_sets_no_room_aside_is_written_to_instead(directory: Path, error: str):
    script = f"""
    import errno

    def posix_fallocate(descriptor, offset, size):
        raise OSError(errno.{error}, "as musl says")

    os.posix_fallocate = posix_fallocate
    for number in range(2000):
        METRICS.file_changes_total.labels(f"{{number}}", "applied").inc()
    path = os.path.join(os.environ["STORE"], "slot-0")
    assert os.stat(path).st_size > 65536
    assert os.stat(path).st_blocks * 512 >= os.stat(path).st_size
    in_child(METRICS.file_changes_total.labels("5", "applied").inc)
    assert sample_value("file_changes_total", change_type="5", status="applied") == 2
    assert not records, records
    """
    run(script, directory, before=FAULT, CARDINALITY_LIMIT=5000)


def test_a_directory_that_cannot_be_made_is_not_used(tmp_path: Path):
    (tmp_path / "file").touch()

    run(EXPECT_MEMORY, tmp_path / "file" / "store", before=FAULT)


def test_values_move_with_the_directory(directory: Path, tmp_path: Path):
    script = f"""
    from django.test import override_settings
    METRICS.cache_hits_total.inc(3)
    with override_settings(TACHIKOMA_METRICS={{"STORE_DIR": {str(tmp_path / "other")!r}}}):
        METRICS.cache_hits_total.inc()
        assert sample_value("cache_hits_total") == 4
        assert "slot-0" in os.listdir({str(tmp_path / "other")!r})
    with override_settings(TACHIKOMA_METRICS={{"STORE_DIR": None}}):
        METRICS.cache_hits_total.inc()
        assert sample_value("cache_hits_total") == 5
    METRICS.cache_hits_total.inc()
    assert sample_value("cache_hits_total") == 6
    """
    run(script, directory)


def test_a_directory_that_goes_is_made_anew_with_all_that_was_counted(directory: Path):
    script = """
    import shutil
    gauge = Gauge("level", "Level.")
    gauge.set(4)
    METRICS.cache_hits_total.inc(3)
    shutil.rmtree(os.environ["STORE"])
    time.sleep(1.1)
    METRICS.cache_hits_total.inc()
    assert sample_value("cache_hits_total") == 4
    assert sample_value("level") == 4
    assert slots() == ["slot-0"]
    """
    run(script, directory)


def test_values_of_a_process_that_ends_before_it_could_claim_are_there_all_the_same(
    directory: Path,
):
    script = """
    METRICS.cache_misses_total.inc()
    unlock = lock_directory()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        METRICS.cache_hits_total.inc(3)
        os.write(writing, b"done")
        os.read(reading_too, 1)
        sys.exit()
    """
    script = script.replace(
        "reading, writing = os.pipe()",
        "reading, writing = os.pipe(); reading_too, writing_too = os.pipe()",
    )
    script += """
    assert os.read(reading, 4) == b"done"
    unlock()
    os.write(writing_too, b"x")
    os.waitpid(pid, 0)
    assert sample_value("cache_hits_total") == 3
    """
    run(script, directory, before=FAULT)


def test_mail_that_is_kept_in_memory_makes_no_test_run(tmp_path: Path):
    script = """
    from django.core import mail
    mail.outbox = []
    METRICS.cache_hits_total.inc()
    assert slots() == ["slot-0"]
    """
    run(script, tmp_path / "store")


def test_processes_that_take_turns_are_no_fault_unless_that_lasts(directory: Path):
    script = """
    METRICS.cache_misses_total.inc()
    unlock = lock_directory()

    def wait():
        METRICS.cache_hits_total.inc()
        assert not records, records
        print("waits", flush=True)

    def wait_for_long():
        times = 0
        while not records:
            METRICS.cache_hits_total.inc()
            times += 1
            time.sleep(0.001)
        assert records[0].exc_info[0] is BlockingIOError, records
        assert times > 1
        unlock()
        while len(slots()) < 2:
            METRICS.cache_hits_total.inc()

    in_child(wait)
    in_child(wait_for_long)
    assert sample_value("tachikoma_metrics_errors_total", source="store") == 1
    """
    assert run(script, directory, before=FAULT) == "waits\n"


@pytest.mark.parametrize("package", ["multiprocessing", "billiard"])
def test_a_child_that_ends_without_handlers_of_atexit_shares_what_it_counted(
    directory: Path, package: str
):
    pytest.importorskip(package)
    script = f"""
    import {package}
    METRICS.cache_misses_total.inc()
    unlock = lock_directory()
    context = {package}.get_context("fork")
    counted, go_on = context.Event(), context.Event()

    def work():
        METRICS.cache_hits_total.inc()
        counted.set()
        go_on.wait()

    child = context.Process(target=work)
    child.start()
    counted.wait()
    unlock()
    go_on.set()
    child.join()
    assert sample_value("cache_hits_total") == 1
    """
    run(script, directory)


def test_a_celery_worker_process_shares_what_it_counted_when_it_is_replaced(directory: Path):
    pytest.importorskip("celery")
    script = """
    from billiard import get_context
    from celery.concurrency.prefork import process_destructor
    from billiard.pool import Worker
    METRICS.cache_misses_total.inc()
    unlock = lock_directory()
    counted, go_on = get_context("fork").Event(), get_context("fork").Event()
    pid = os.fork()
    if pid == 0:
        METRICS.cache_hits_total.inc()
        counted.set()
        go_on.wait()
        # The last thing a worker process does before os._exit().
        process_destructor(os.getpid(), 0)
        os._exit(0)
    counted.wait()
    unlock()
    go_on.set()
    os.waitpid(pid, 0)
    assert sample_value("cache_hits_total") == 1
    """
    run(script, directory)


PLACES = """
from tachikoma_metrics.store import STORE
os.mkdir(os.environ["STORE"])
first, second = (os.path.join(os.environ["STORE"], name) for name in ("first", "second"))
STORE.where = lambda: (first, second)
# As a directory that another user made.
open(first, "x").close()
"""


def test_processes_meet_where_the_service_is_when_a_better_place_is_to_be_had(directory: Path):
    script = f"""{PLACES}
METRICS.cache_hits_total.inc()
os.unlink(first)
in_child(METRICS.cache_hits_total.inc)
assert sample_value("cache_hits_total") == 2
assert not os.path.exists(first)
"""
    run(script, directory)


def test_a_worker_that_is_recycled_goes_on_where_it_was_when_a_better_place_is_to_be_had(
    directory: Path,
):
    script = f"""{PLACES}
in_child(METRICS.cache_hits_total.inc)
os.unlink(first)
in_child(METRICS.cache_hits_total.inc)
in_child(lambda: print(sample_value("cache_hits_total"), flush=True))
"""
    assert run(script, directory) == "2.0\n"


def test_processes_that_are_in_two_places_come_together(directory: Path):
    script = f"""{PLACES}
METRICS.cache_hits_total.inc()
os.unlink(first)

def count_elsewhere():
    STORE.where = lambda: (first,)
    METRICS.cache_hits_total.inc()

pid = in_child(count_elsewhere, live=True)
# As a second later.
STORE.revisit()
METRICS.cache_hits_total.inc()
assert sample_value("cache_hits_total") == 3
assert sample_value("tachikoma_metrics_processes") == 2
kill(pid)
"""
    run(script, directory)


def test_a_directory_that_is_removed_comes_back_with_all_totals(directory: Path):
    """Those of a live process that does nothing, of one that is over, and of earlier runs."""
    for _ in range(2):
        run("METRICS.cache_hits_total.inc(100)", directory)
    script = """
    import shutil
    from tachikoma_metrics.store import Incomplete

    def total():
        while True:
            try:
                return sample_value("cache_hits_total")
            except Incomplete:
                time.sleep(0.05)

    METRICS.cache_hits_total.inc(10)
    idle = in_child(METRICS.cache_hits_total.inc, 3, live=True)
    kill(in_child(METRICS.cache_hits_total.inc, 4, live=True))
    assert total() == 217, total()
    for _ in range(2):
        time.sleep(1.1)
        METRICS.cache_hits_total.inc(0)
        shutil.rmtree(os.environ["STORE"])
        assert total() == 217, total()
        # A process that starts now, and had nothing open.
        assert in_child(lambda: print(total(), flush=True))
    kill(idle)
    assert total() == 217, total()
    """
    assert run(script, directory, before=FAULT) == "217.0\n217.0\n"


def test_a_process_that_comes_back_to_its_directory_counts_once(directory: Path):
    script = """
    import shutil
    from tachikoma_metrics.store import Incomplete

    def count_later():
        METRICS.cache_hits_total.inc(3)
        os.write(ready, b"x")
        os.read(go, 1)
        METRICS.cache_hits_total.inc(2)
        os.write(ready, b"x")
        os.read(go, 1)
        os._exit(0)

    def total():
        while True:
            try:
                return sample_value("cache_hits_total")
            except Incomplete:
                time.sleep(0.05)

    (is_ready, ready), (go, say_go) = os.pipe(), os.pipe()
    METRICS.cache_hits_total.inc(10)
    pid = os.fork() or count_later()
    os.read(is_ready, 1)
    assert total() == 13
    time.sleep(1.1)
    METRICS.cache_hits_total.inc(0)
    shutil.rmtree(os.environ["STORE"])
    assert total() == 13
    os.write(say_go, b"x")
    os.read(is_ready, 1)
    assert total() == 15, total()
    os.write(say_go, b"x")
    os.waitpid(pid, 0)
    assert total() == 15, total()
    assert len(slots()) == 2, slots()
    """
    run(script, directory, before=FAULT)


def test_processor_time_of_ended_processes_outlives_a_removed_directory(directory: Path):
    script = """
    import shutil
    from tachikoma_metrics.store import STORE
    def work():
        METRICS.cache_hits_total.inc()
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass
        STORE.revisit()
        METRICS.cache_hits_total.inc()
    in_child(work)
    METRICS.cache_hits_total.inc()
    before = sample_value("process_cpu_seconds_total")
    shutil.rmtree(os.environ["STORE"])
    STORE.revisit()
    METRICS.cache_hits_total.inc()
    print(sample_value("cache_hits_total"), sample_value("process_cpu_seconds_total") >= before)
    """
    assert run(script, directory) == "4.0 True\n"
