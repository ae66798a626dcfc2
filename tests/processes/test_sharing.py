"""What several processes make of one page. Each script is a service of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork()")

PRELUDE = """
import gc, os, signal, sys, threading, time
import prometheus_client
from prometheus_client import Counter, Gauge, Histogram, Summary
{before}
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["tachikoma_metrics"],
    TACHIKOMA_METRICS={{"STORE_DIR": os.environ["STORE"], **{more}}},
)
django.setup()
from tachikoma_metrics import METRICS, record_db_query, record_file_change
from tachikoma_metrics.testing import sample_value, samples

def in_child(call, *arguments, live=False):
    '''Call in a forked child; return its pid when it is over, or when it waits to be killed.'''
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            call(*arguments)
            os.write(writing, b"done")
            if live:
                time.sleep(60)
        except BaseException:
            import traceback
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writing)
    assert os.read(reading, 4) == b"done"
    os.close(reading)
    if not live:
        os.waitpid(pid, 0)
    return pid

def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)

def slots():
    return sorted(name for name in os.listdir(os.environ["STORE"]) if name.startswith("slot-"))
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return tmp_path / "store"


def start(
    script: str, directory: Path, *, before: str = "", **more: object
) -> subprocess.Popen[str]:
    """Start a service of one script; ``before`` is run before Django is set up."""
    text = PRELUDE.format(before=before, more=more) + textwrap.dedent(script)
    return subprocess.Popen(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text],
        env={**os.environ, "PYTHONPATH": ".", "STORE": str(directory)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )


def run(script: str, directory: Path, *, before: str = "", **more: object) -> str:
    """Run a script to its end, which has to be a quiet one; return what it printed."""
    process = start(script, directory, before=before, **more)
    try:
        output, errors = process.communicate(timeout=120)
    finally:
        process.kill()
        process.wait()
    assert errors == ""
    assert process.returncode == 0
    return output


# --- exact ------------------------------------------------------------------


def test_threads_and_forks_lose_nothing(directory: Path):
    script = """
    counter = Counter("things", "Things.")
    histogram = Histogram("sizes", "Sizes.", ["kind"])

    def work():
        child = histogram.labels("a")
        for _ in range(10_000):
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
    assert sample_value("things_total") == 320_000
    assert sample_value("sizes_count", kind="a") == 320_000
    assert sample_value("cache_hits_total") == 320_000
    assert sample_value("db_queries_total", operation="select", table="orders") == 320_000
    assert len(slots()) <= 5, slots()
    """
    run(script, directory)


def test_a_fork_in_the_midst_of_it_never_hangs(directory: Path):
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
    for number in range(200):
        pid = os.fork()
        if pid == 0:
            signal.alarm(30)
            histogram.labels(f"child {number % 3}").observe(1)
            METRICS.file_changes_total.labels("create", "applied").inc()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    is_over = True
    thread.join()
    assert sample_value("file_changes_total", change_type="create", status="applied") == 200
    assert sum(sample_value("sizes_count", kind=f"child {n}") for n in range(3)) == 200
    assert slots() == ["slot-0", "slot-1"], slots()
    """
    run(script, directory)


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


# --- metrics of the project -------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "while_both_live", "after_the_second"),
    [
        ("all", {"": 5.0}, {"": 5.0}),
        ("liveall", {"1": 3.0, "2": 5.0}, {"1": 3.0}),
        ("min", {"": 3.0}, {"": 3.0}),
        ("livemin", {"": 3.0}, {"": 3.0}),
        ("max", {"": 5.0}, {"": 5.0}),
        ("livemax", {"": 5.0}, {"": 3.0}),
        ("sum", {"": 8.0}, {"": 8.0}),
        ("livesum", {"": 8.0}, {"": 3.0}),
        ("mostrecent", {"": 5.0}, {"": 5.0}),
        ("livemostrecent", {"": 5.0}, {"": 3.0}),
    ],
)
def test_a_gauge_becomes_one_by_its_mode(
    directory: Path,
    mode: str,
    while_both_live: dict[str, float],
    after_the_second: dict[str, float],
):
    script = f"""
    gauge = Gauge("level", "Level.", multiprocess_mode={mode!r})
    METRICS.cache_hits_total.inc()

    def shown():
        return {{
            dict(labels).get("worker", ""): value
            for (name, labels), value in samples().items()
            if name == "level"
        }}

    first = in_child(gauge.set, 3, live=True)
    second = in_child(gauge.set, 5, live=True)
    assert shown() == {while_both_live}, shown()
    kill(second)
    assert shown() == {after_the_second}, shown()
    # Another process takes the slot over, and sets nothing.
    third = in_child(METRICS.cache_hits_total.inc, live=True)
    assert slots() == ["slot-0", "slot-1", "slot-2"]
    assert shown() == {after_the_second}, shown()
    kill(first)
    kill(third)
    """
    run(script, directory)


def test_a_gauge_that_is_counted_with_is_the_sum_of_the_living(directory: Path):
    script = """
    gauge = Gauge("jobs", "Jobs.")
    METRICS.cache_hits_total.inc()
    first = in_child(gauge.inc, 2, live=True)
    second = in_child(gauge.inc, 3, live=True)
    assert sample_value("jobs") == 5
    kill(first)
    assert sample_value("jobs") == 3
    kill(second)
    assert sample_value("jobs") == 0
    """
    run(script, directory)


def test_metrics_that_were_made_before_are_shared_with_what_they_had(directory: Path):
    before = """
early = Counter("early", "Early.", ["kind"])
early.labels("a").inc(2, {"trace": "1"})
level = Gauge("level", "Level.")
level.set(7)
sizes = Histogram("sizes", "Sizes.", buckets=[1, 2])
sizes.observe(1.5)
times = Summary("times", "Times.")
times.observe(4)
unset = Gauge("unset", "Unset.", ["kind"])
"""
    script = """
    child = early.labels("a")

    def work():
        early.labels("a").inc()
        child.inc()
        sizes.observe(0.5)
        times.observe(1)

    in_child(work)
    assert sample_value("early_total", kind="a") == 4
    assert sample_value("level") == 7
    assert sample_value("sizes_bucket", le="1.0") == 1
    assert sample_value("sizes_count") == 2
    assert sample_value("sizes_sum") == 2
    assert (sample_value("times_count"), sample_value("times_sum")) == (2, 5)
    """
    run(script, directory, before=before)


def test_a_metric_of_a_module_that_this_process_never_imports_is_on_the_page(directory: Path):
    script = """
    def worker():
        Counter("tasks", "Tasks done.", ["queue"]).labels("mail").inc(3)
        Histogram("seconds", "Seconds.", buckets=[1]).observe(0.5)

    in_child(worker)
    assert sample_value("tasks_total", queue="mail") == 3
    assert sample_value("seconds_bucket", le="+Inf") == 1
    assert "# HELP tasks_total Tasks done.\\n# TYPE tasks_total counter\\n" in METRICS.encode()
    """
    run(script, directory)


def test_a_metric_of_another_registry_is_shared_with_nobody(directory: Path):
    script = """
    METRICS.cache_hits_total.inc()
    for _ in range(2):
        registry = prometheus_client.CollectorRegistry()
        counter = Counter("things", "Things.", registry=registry)
        counter.inc()
        assert registry.get_sample_value("things_total") == 1
    assert sample_value("things_total") is None
    """
    run(script, directory)


def test_a_metric_that_is_made_anew_starts_anew(directory: Path):
    script = """
    counter = Counter("things", "Things.")
    counter.inc(5)
    prometheus_client.REGISTRY.unregister(counter)
    assert sample_value("things_total") is None
    kept = counter
    counter = Counter("things", "Things.")
    counter.inc()
    assert sample_value("things_total") == 1
    del kept
    counter.inc()
    assert sample_value("things_total") == 2
    """
    run(script, directory)


def test_removed_label_sets_leave_the_slots_of_this_process_and_of_those_that_are_over(
    directory: Path,
):
    script = """
    METRICS.cache_hits_total.inc()
    gauge = Gauge("level", "Level.", ["kind"], multiprocess_mode="mostrecent")

    def work():
        for kind in "abc":
            gauge.labels(kind).set(1)
            METRICS.file_changes_total.labels(kind, "applied").inc()

    work()
    in_child(work)
    gauge.remove("a")
    METRICS.file_changes_total.remove("a", "applied")
    gc.collect()
    kinds = {dict(labels)["kind"] for name, labels in samples() if name == "level"}
    assert kinds == {"b", "c"}, kinds
    gauge.clear()
    METRICS.file_changes_total.clear()
    gc.collect()
    assert not [name for name, labels in samples() if name in ("level", "file_changes_total")]
    gauge.labels("a").set(4)
    METRICS.file_changes_total.labels("a", "applied").inc()
    assert sample_value("level", kind="a") == 4
    assert sample_value("file_changes_total", change_type="a", status="applied") == 1
    """
    run(script, directory)


def test_label_sets_that_come_and_go_take_no_more_room(directory: Path):
    script = """
    gauge = Gauge("level", "Level.", ["job"])
    for number in range(20_000):
        gauge.labels(f"{number:06}").set(number)
        gauge.remove(f"{number:06}")
    assert os.path.getsize(os.environ["STORE"] + "/slot-0") == 65536
    """
    run(script, directory)


def test_the_value_of_a_function_and_of_a_collector_is_on_the_page(directory: Path):
    script = """
    from prometheus_client.core import GaugeMetricFamily
    Gauge("level", "Level.").set_function(lambda: 7)
    by_kind = Gauge("by_kind", "By kind.", ["kind"])
    by_kind.labels("a").set_function(lambda: 8)

    class Collector:
        def collect(self):
            yield GaugeMetricFamily("from_collector", "From a collector.", value=9)

    prometheus_client.REGISTRY.register(Collector())
    METRICS.cache_hits_total.inc()
    assert sample_value("level") == 7
    assert sample_value("by_kind", kind="a") == 8
    assert sample_value("from_collector") == 9
    """
    run(script, directory)


def test_examples_are_in_openmetrics(directory: Path):
    script = """
    from tachikoma_metrics.exposition import OPENMETRICS
    counter = Counter("things", "Things.")
    counter.inc(1, {"trace": "abc"})
    METRICS.http_request_duration_seconds.labels("GET", "/").observe(0.02, {"trace": "def"})
    page = METRICS.page(OPENMETRICS)
    assert 'things_total 1.0 # {trace="abc"} 1.0' in page
    assert 'le="0.025",method="GET",path="/"} 1.0 # {trace="def"} 0.02' in page
    """
    run(script, directory)


def test_the_environment_of_the_stock_mode_changes_nothing(directory: Path, tmp_path: Path):
    before = f"""
os.environ["PROMETHEUS_MULTIPROC_DIR"] = {str(tmp_path)!r}
prometheus_client.values.ValueClass = prometheus_client.values.get_value_class()
early = Counter("early", "Early.")
early.inc(2)
"""
    script = """
    from prometheus_client import multiprocess
    pid = in_child(early.inc)
    multiprocess.mark_process_dead(pid)
    assert sample_value("early_total") == 3
    METRICS.file_changes_total.labels("modify", "applied").inc()
    METRICS.file_changes_total.clear()
    """
    run(script, directory, before=before)


# --- slots ------------------------------------------------------------------


def test_a_page_claims_a_slot_and_importing_claims_none(directory: Path):
    script = """
    assert not os.path.exists(os.environ["STORE"])
    METRICS.encode()
    assert slots() == ["slot-0"]
    assert sample_value("tachikoma_metrics_processes") == 1
    """
    run(script, directory)


def test_a_service_that_is_over_starts_afresh(directory: Path):
    count = """
    METRICS.cache_hits_total.inc()
    in_child(METRICS.cache_hits_total.inc)
    print(sample_value("cache_hits_total"), *slots())
    """

    first, second = run(count, directory), run(count, directory)

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
    run(script, directory, before=FAULT, MAX_SERIES=10)


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


# --- directories ------------------------------------------------------------


FAULT = """
import logging
records = []
handler = logging.Handler()
handler.emit = records.append
logging.getLogger("tachikoma_metrics").addHandler(handler)
logging.getLogger("tachikoma_metrics").propagate = False
"""

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


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_directory_of_another_user_is_not_used(directory: Path):
    directory.mkdir(mode=0o700)
    os.chown(directory, 12345, 12345)

    assert "should belong to user" in run(EXPECT_MEMORY, directory, before=FAULT)


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
        assert os.listdir({str(tmp_path / "other")!r}) == ["slot-0"]
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
    import fcntl
    METRICS.cache_misses_total.inc()
    descriptor = os.open(os.environ["STORE"], os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
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
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.write(writing_too, b"x")
    os.waitpid(pid, 0)
    assert sample_value("cache_hits_total") == 3
    """
    run(script, directory, before=FAULT)


# --- what was once wrong ----------------------------------------------------


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


def test_a_label_set_that_is_removed_is_gone_though_somebody_holds_on_to_it(directory: Path):
    script = """
    counter = Counter("things", "Things.", ["kind"])
    held = counter.labels("a")
    held.inc(3)
    counter.remove("a")
    assert sample_value("things_total", kind="a") is None
    counter.labels("a").inc()
    held.inc(10)
    counter.labels("a").inc()
    assert sample_value("things_total", kind="a") == 2
    """
    run(script, directory)


def test_a_help_that_is_another_in_another_process_changes_no_value(directory: Path):
    script = """
    def old():
        Gauge("jobs", "Old.").inc(5)
        Gauge("level", "Old.", multiprocess_mode="max").set(5)

    pid = in_child(old, live=True)
    Gauge("jobs", "New.").inc(3)
    Gauge("level", "New.", multiprocess_mode="max").set(3)
    assert sample_value("jobs") == 8
    assert sample_value("level") == 5
    kill(pid)
    """
    run(script, directory)


def test_a_lazy_help_is_a_help(directory: Path):
    script = """
    from django.utils.functional import lazystr
    Counter("things", lazystr("Things.")).inc()
    in_child(METRICS.cache_hits_total.inc)
    assert sample_value("things_total") == 1
    assert "# HELP things_total Things." in METRICS.encode()
    """
    run(script, directory)


def test_a_function_takes_the_place_of_what_was_set(directory: Path):
    script = """
    gauge = Gauge("level", "Level.", ["kind"])
    gauge.labels("a").set(1)
    gauge.labels("b").set(2)
    gauge.labels("a").set_function(lambda: 42)
    assert sample_value("level", kind="a") == 42
    assert sample_value("level", kind="b") == 2
    """
    run(script, directory)


def test_an_exception_that_a_signal_raises_reaches_the_app_and_changes_no_place(directory: Path):
    script = """
    import fcntl

    class Limit(Exception):
        pass

    def stop(number, frame):
        raise Limit

    METRICS.cache_hits_total.inc()
    descriptor = os.open(os.environ["STORE"], os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGALRM, stop)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        signal.setitimer(signal.ITIMER_REAL, 0.1)
        try:
            METRICS.cache_hits_total.inc()
        except Limit:
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            METRICS.cache_hits_total.inc(5)
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    assert sample_value("cache_hits_total") == 6
    """
    run(script, directory)


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


def test_mail_that_is_kept_in_memory_makes_no_test_run(tmp_path: Path):
    script = """
    from django.core import mail
    mail.outbox = []
    METRICS.cache_hits_total.inc()
    assert slots() == ["slot-0"]
    """
    run(script, tmp_path / "store")


# --- a long life ------------------------------------------------------------


def test_a_long_life_leaves_no_trace(directory: Path):
    run(
        """
        from tachikoma_metrics.recorders import DB_QUERY

        def work(events):
            for number in range(events):
                DB_QUERY.record_sound(("select", f"table {number % 20}", ""), (1.0, 0.001))

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
        for _ in range(150):
            generation(4, 500)
            METRICS.encode()

        total = sum(v for (name, _), v in samples().items() if name == "db_queries_total")
        assert total == 151 * 4 * 500, total
        # One for each process that lived at a time, and for this one.
        assert len(slots()) <= 5, slots()
        assert sizes() == used, (used, sizes())
        assert abs(len(METRICS.encode()) - page) < 500
        assert memory() - before < 500, (before, memory())
        """,
        directory,
    )
