"""Who has a slot, how long, and what becomes of its values."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes.scripts import FAULT, run, start


def test_a_page_claims_a_slot_and_importing_claims_none(directory: Path):
    script = """
    assert not os.path.exists(os.environ["STORE"])
    METRICS.encode()
    assert slots() == ["slot-0"]
    assert sample_value("tachikoma_metrics_processes") == 1
    """
    run(script, directory)


def test_a_service_that_is_over_starts_at_zero_where_totals_are_not_kept(directory: Path):
    count = """
    METRICS.cache_hits_total.inc()
    in_child(METRICS.cache_hits_total.inc)
    print(sample_value("cache_hits_total"), *slots())
    """

    first, second = (run(count, directory, KEEP_TOTALS=0) for _ in range(2))

    assert first == second == "2.0 slot-0 slot-1\n"


def test_a_service_goes_on_while_one_of_its_processes_lives(directory: Path):
    worker = start(
        """
        METRICS.cache_hits_total.inc()
        print("ready", flush=True)
        input()
        """,
        directory,
    )
    with worker:
        assert worker.stdout is not None
        assert worker.stdin is not None
        assert worker.stdout.readline() == "ready\n"
        count = 'METRICS.cache_hits_total.inc(); print(sample_value("cache_hits_total"))'
        assert run(count, directory) == "2.0\n"
        assert run(count, directory) == "3.0\n"
        worker.stdin.write("\n")


def test_a_server_whose_only_worker_is_recycled_counts_on(directory: Path):
    script = """
    for _ in range(3):
        in_child(METRICS.cache_hits_total.inc)
    in_child(lambda: print(sample_value("cache_hits_total"), *slots(), flush=True))
    """

    assert run(script, directory) == "3.0 slot-0\n"


AS_ANOTHER_USER = """
import ctypes
from tachikoma_metrics.store import system

def rename(title):
    # As setproctitle does.
    with open("/proc/self/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    begin, end = int(fields[45]), int(fields[46])
    ctypes.memset(begin, 0, end - begin)
    ctypes.memmove(begin, title, len(title))

def as_another_user(call):
    os.setgid(65534)
    os.setuid(65534)
    rename(b"worker")
    return call()

def show():
    print(sample_value("cache_hits_total"), *slots(), flush=True)

rename(b"master")
"""


@pytest.fixture
def directory_of_another_user() -> Iterator[Path]:
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("only root can start workers of another user")
    with tempfile.TemporaryDirectory(dir="/tmp") as path:
        os.chmod(path, 0o711)  # noqa: S103  # Others are to reach what is theirs.
        store = Path(path) / "store"
        store.mkdir(mode=0o700)
        os.chown(store, 65534, 65534)
        yield store


def test_a_server_of_root_counts_on_when_its_only_worker_of_another_user_is_recycled(
    directory_of_another_user: Path,
):
    script = f"""{AS_ANOTHER_USER}
for _ in range(3):
    in_child(as_another_user, METRICS.cache_hits_total.inc)
in_child(as_another_user, show)
"""

    assert run(script, directory_of_another_user) == "3.0 slot-0\n"


def test_a_server_that_is_hidden_counts_on_when_its_only_worker_is_recycled(
    directory_of_another_user: Path,
):
    script = f"""{AS_ANOTHER_USER}
server, exists, read = os.getpid(), os.path.exists, system._read

def read_visible(path):
    if path.startswith(f"/proc/{{server}}/"):
        raise FileNotFoundError(path)
    return read(path)

# As /proc is with hidepid=2.
system._read = read_visible
os.path.exists = lambda path: not path.startswith(f"/proc/{{server}}/") and exists(path)
for _ in range(3):
    in_child(as_another_user, METRICS.cache_hits_total.inc)
in_child(as_another_user, show)
"""

    assert run(script, directory_of_another_user) == "3.0 slot-0\n"


def test_what_root_starts_as_another_user_in_a_group_of_its_own_is_a_service_of_its_own(
    directory_of_another_user: Path,
):
    script = f"""{AS_ANOTHER_USER}
def job():
    os.setpgid(0, 0)
    as_another_user(METRICS.cache_hits_total.inc)
    show()

for _ in range(2):
    in_child(job)
"""

    assert run(script, directory_of_another_user, KEEP_TOTALS=0) == "1.0 slot-0\n" * 2


def test_a_service_that_is_over_is_over_though_its_server_was_hidden(
    directory_of_another_user: Path,
):
    script = f"""{AS_ANOTHER_USER}
in_child(as_another_user, METRICS.cache_hits_total.inc)
in_child(as_another_user, show)
"""

    for _ in range(2):
        assert run(script, directory_of_another_user, KEEP_TOTALS=0) == "1.0 slot-0\n"


def test_where_the_system_tells_nothing_of_processes_a_lock_tells_who_lives(directory: Path):
    script = """
    from tachikoma_metrics.store import system
    exists = os.path.exists
    system._read = lambda path: (_ for _ in ()).throw(FileNotFoundError(path))
    system.namespace = lambda: 0
    os.path.exists = lambda path: not str(path).startswith("/proc") and exists(path)
    METRICS.cache_hits_total.inc()
    pid = in_child(METRICS.http_requests_in_flight.inc, live=True)
    assert sample_value("http_requests_in_flight") == 1
    assert sample_value("tachikoma_metrics_processes") == 2
    kill(pid)
    assert sample_value("http_requests_in_flight") == 0
    """
    run(script, directory)


def test_a_slot_that_is_larger_than_a_process_makes_one_is_replaced(directory: Path):
    script = """
    METRICS.cache_hits_total.inc()
    first, second = (os.path.join(os.environ["STORE"], f"slot-{number}") for number in (0, 1))
    with open(first, "rb") as source, open(second, "wb") as target:
        target.write(source.read())
        target.truncate(1 << 40)
    in_child(METRICS.cache_hits_total.inc)
    assert sample_value("cache_hits_total") == 2
    assert slots() == ["slot-0", "slot-1"]
    assert os.stat(second).st_size < 1 << 30
    assert sample_value("tachikoma_metrics_errors_total", source="store") == 1
    """
    run(script, directory, before=FAULT)


def test_a_label_is_bounded_over_all_who_hold_a_slot(directory: Path):
    script = """
    def hostile(generation):
        for number in range(50):
            record_file_change(f"{generation}-{number}", "applied")

    for generation in range(5):
        in_child(hostile, generation)
    changes = {labels: value for (name, labels), value in samples().items()
               if name == "file_changes_total"}
    assert len(changes) == 10, len(changes)
    assert sum(changes.values()) == 250
    assert sample_value("tachikoma_metrics_overflow_total", family="file_changes_total") > 0
    """
    run(script, directory, before=FAULT, CARDINALITY_LIMIT=10)


def test_processes_that_disagree_on_labels_and_buckets_share_a_family(directory: Path):
    old = """
    def old():
        Counter("things", "Things.").inc(2)
        sizes = Histogram("sizes", "Sizes.", buckets=[1, 2])
        sizes.observe(0.5)
        sizes.observe(1.5)
        Gauge("mixed", "A gauge.").set(1)

    in_child(old)
    Counter("things", "Things that count.", ["kind"]).labels("a").inc(3)
    sizes = Histogram("sizes", "Sizes.", buckets=[1, 5])
    sizes.observe(4)
    Counter("mixed", "No gauge.").inc()
    assert sample_value("things_total") == 2
    assert sample_value("things_total", kind="a") == 3
    bounds = {dict(labels)["le"]: value for (name, labels), value in samples().items()
              if name == "sizes_bucket"}
    assert bounds == {"1.0": 1, "2.0": 2, "5.0": 3, "+Inf": 3}, bounds
    assert (sample_value("sizes_count"), sample_value("sizes_sum")) == (3, 6)
    assert sample_value("mixed_total") == 1
    assert METRICS.encode().count("# TYPE sizes ") == 1
    """
    run(old, directory)


def test_the_time_of_processors_never_falls(directory: Path):
    script = """
    def burn():
        METRICS.cache_hits_total.inc()
        until = time.process_time() + 0.3
        while time.process_time() < until:
            pass

    METRICS.cache_hits_total.inc()
    before = sample_value("process_cpu_seconds_total")
    pid = in_child(burn, live=True)
    alive = sample_value("process_cpu_seconds_total")
    kill(pid)
    after = sample_value("process_cpu_seconds_total")
    in_child(METRICS.cache_hits_total.inc)
    later = sample_value("process_cpu_seconds_total")
    assert before + 0.25 < alive <= after <= later
    assert sample_value("process_resident_memory_bytes") > 1e6
    assert sample_value("process_open_fds") > 3
    """
    if sys.platform != "linux":
        pytest.skip("only Linux has /proc")
    run(script, directory)


def test_the_work_of_the_garbage_collector_is_that_of_all_processes(directory: Path):
    script = """
    METRICS.cache_hits_total.inc()

    def collections():
        return sample_value("python_gc_collections_total", generation="2")

    def collect():
        for _ in range(50):
            gc.collect()
        time.sleep(1.1)
        METRICS.cache_hits_total.inc()

    before = collections()
    in_child(collect)
    assert collections() >= before + 50
    """
    run(script, directory)


def test_a_command_in_the_place_of_a_recycled_worker_ends_no_service(directory: Path):
    server = """
    in_child(METRICS.cache_hits_total.inc, 50)
    print("ready", flush=True)
    input()
    in_child(lambda: print(sample_value("cache_hits_total"), flush=True))
    """
    with start(server, directory) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        run("METRICS.cache_hits_total.inc()", directory)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "51.0\n"


def test_a_fork_while_another_thread_claims_keeps_no_lock_of_its_parent(directory: Path):
    script = """
    sys.setswitchinterval(0.00001)
    METRICS.cache_misses_total.inc()

    def claim_and_fork():
        thread = threading.Thread(target=METRICS.http_requests_in_flight.inc)
        thread.start()
        pid = os.fork()
        if pid == 0:
            os.close(1)
            os.close(2)
            time.sleep(60)
            os._exit(0)
        thread.join()
        print(pid, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

    for _ in range(30):
        os.waitpid(os.fork() or claim_and_fork(), 0)
    assert sample_value("http_requests_in_flight") in (0, None), samples()
    assert sample_value("tachikoma_metrics_processes") == 1
    """
    with start(script, directory) as process:
        output, errors = process.communicate(timeout=60)
    for pid in output.split():
        os.kill(int(pid), signal.SIGKILL)
    assert errors == ""
