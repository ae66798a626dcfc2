"""A service ends and comes back: its totals go on, and what no process changes any more goes."""

from __future__ import annotations

import contextlib
import os
import shutil
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes.scripts import run, start

SERVE = """
from tachikoma_metrics.middleware import MetricsMiddleware
MetricsMiddleware(lambda request: None)
"""
"""Makes a script a server: a command does not answer requests."""

AS_WORKER = """
    sys.argv.append("worker")
    """

COUNT = """
METRICS.cache_hits_total.inc()
print(sample_value("cache_hits_total"))
"""


def counted(label: str) -> str:
    """Return a script that counts one label set, and prints those that are on the page."""
    return f"""
    record_file_change({label!r}, "applied")
    found = {{dict(labels)["change_type"]: int(value) for (name, labels), value
              in samples().items() if name == "file_changes_total"}}
    print(*(f"{{name}}={{value}}" for name, value in sorted(found.items())))
    """


@contextlib.contextmanager
def serving(directory: Path, script: str, **more: Any) -> Iterator[str]:
    """Run a server that lives for the time of the block; yield what it printed."""
    text = SERVE + textwrap.dedent(script) + "\nsys.stdout.flush()\ninput()\n"
    with start(text, directory, **more) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.write("\n")
            process.stdin.close()
            assert process.wait(60) == 0


def serve(directory: Path, script: str, **more: object) -> str:
    """Run a server to its end; return what it printed."""
    with serving(directory, script, **more) as printed:
        return printed


def bytes_in(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.iterdir())


def test_totals_go_on_however_often_a_service_is_restarted(directory: Path):
    assert [serve(directory, COUNT) for _ in range(4)] == ["1.0", "2.0", "3.0", "4.0"]
    assert [path.name for path in directory.glob("slot-*")] == ["slot-0"]


COUNT_FROM = """
from tachikoma_metrics.exposition import PROTOBUF
from tests.exposition.decoded import decode
METRICS.cache_hits_total.inc()
print(decode(METRICS.expose(PROTOBUF)).start("cache_hits_total"))
"""


def test_totals_that_go_on_keep_their_start(directory: Path):
    before = time.time()
    starts = [float(serve(directory, COUNT_FROM)) for _ in range(3)]
    runs = [float(run(COUNT_FROM, directory)) for _ in range(2)]

    assert before - 0.01 <= starts[0] <= time.time()
    assert [*starts[1:], *runs] == pytest.approx([starts[0]] * 4, abs=0.002)


def test_a_start_is_told_by_the_clock_as_it_is_set(directory: Path):
    first = float(serve(directory, COUNT_FROM))
    second = float(serve(directory, COUNT_FROM, before=clock_set_by(3600)))
    third = float(serve(directory, COUNT_FROM))

    assert second == pytest.approx(first + 3600, abs=0.5)
    assert third == pytest.approx(first, abs=0.5)


def test_totals_that_start_at_zero_have_a_start_of_their_own(directory: Path):
    first, second = (float(serve(directory, COUNT_FROM, KEEP_TOTALS=0)) for _ in range(2))

    assert second > first


def test_totals_of_commands_go_on_as_well(directory: Path):
    assert [run(COUNT, directory) for _ in range(3)] == ["1.0\n", "2.0\n", "3.0\n"]


def test_without_time_to_come_back_a_service_starts_at_zero(directory: Path):
    assert [serve(directory, COUNT, KEEP_TOTALS=0) for _ in range(2)] == ["1.0", "1.0"]


def test_a_service_that_was_away_for_too_long_starts_at_zero(directory: Path):
    def pass_by(seconds: float) -> None:
        last_use = (directory / "lock").stat().st_mtime - seconds
        os.utime(directory / "lock", (last_use, last_use))

    serve(directory, COUNT, KEEP_TOTALS=500)
    pass_by(400)
    assert serve(directory, COUNT, KEEP_TOTALS=500) == "2.0"
    pass_by(600)
    assert serve(directory, COUNT, KEEP_TOTALS=500) == "1.0"


def clock_set_by(seconds: int) -> str:
    """Return a script that sets the clock of its process."""
    return textwrap.dedent(f"""
    import time
    time.time, true_time = lambda: true_time() + {seconds}, time.time
    time.time_ns, true_time_ns = lambda: true_time_ns() + {seconds} * 10**9, time.time_ns
    """)


@pytest.mark.parametrize("seconds", [3600 * 30, -3600 * 30])
def test_a_clock_that_is_set_while_a_service_is_away_changes_nothing(directory: Path, seconds: int):
    serve(directory, COUNT)
    assert serve(directory, COUNT, before=clock_set_by(seconds)) == "2.0"
    assert serve(directory, COUNT) == "3.0"


def test_a_label_set_goes_that_nobody_changed_since_the_restart_before_last(directory: Path):
    assert serve(directory, counted("old")) == "old=1"
    assert serve(directory, counted("new")) == "new=1 old=1"
    assert serve(directory, counted("new")) == "new=2"
    assert serve(directory, counted("old")) == "new=2 old=1"


def test_no_total_of_a_view_falls_with_a_label_set_that_nobody_changes(directory: Path):
    def queries(table: str) -> str:
        return f"""
        record_db_query("select", {table!r}, 0.1, alias="default")
        print(sum(value for (name, labels), value in samples().items()
                  if name == "django_db_execute_total"))
        """

    views = {"VIEWS": ["django-prometheus"]}
    tables = ("old", "new", "new", "new")

    shown = [serve(directory, queries(table), **views) for table in tables]

    assert shown == ["1.0", "2.0", "3.0", "4.0"]


def test_deployments_that_rename_a_route_leave_little_behind(directory: Path):
    shown = [serve(directory, counted(f"route-{number}")).split() for number in range(8)]

    assert max(map(len, shown)) == 2
    assert len(list(directory.iterdir())) <= 4
    assert bytes_in(directory) < 80_000


def test_starts_that_fail_are_no_restarts(directory: Path):
    serve(directory, counted("rare"))
    for _ in range(3):
        serve(directory, "METRICS.tachikoma_metrics_errors_total.labels('settings').inc(); print()")

    assert serve(directory, counted("frequent")) == "frequent=1 rare=1"


def test_commands_between_two_starts_are_no_restarts(directory: Path):
    serve(directory, counted("rare"))
    for _ in range(3):
        run(COUNT, directory)

    assert serve(directory, counted("frequent")) == "frequent=1 rare=1"


def test_a_deployment_of_several_programs_is_one_restart(directory: Path):
    web = counted("web")
    worker = AS_WORKER + counted("worker")
    with serving(directory, counted("rare")), serving(directory, worker):
        pass
    with serving(directory, web), serving(directory, worker) as printed:
        assert printed == "rare=1 web=1 worker=2"


def test_a_restart_beside_a_process_that_lives_on_is_one_too(directory: Path):
    with serving(directory, AS_WORKER + counted("worker")):
        shown = [serve(directory, counted(f"route-{number}")) for number in range(12)]
        files = [path.name for path in directory.iterdir()]

    assert shown[-1] == "route-10=1 route-11=1 worker=1"
    assert len(files) <= 5


def test_servers_that_take_over_from_each_other_are_restarts(directory: Path):
    shown = []
    with contextlib.ExitStack() as stack:
        before = stack.enter_context(contextlib.ExitStack())
        for number in range(8):
            after = contextlib.ExitStack()
            shown.append(after.enter_context(serving(directory, counted(f"route-{number}"))))
            before.close()
            before = stack.enter_context(after)

    assert max(len(line.split()) for line in shown) <= 5


def test_what_processes_left_behind_stays_by_the_mode_of_the_gauge(directory: Path):
    script = """
    modes = ["max", "min", "sum", "mostrecent", "livemax", "livesum", "all"]
    gauges = {mode: Gauge(f"of_{mode}", "A gauge.", multiprocess_mode=mode) for mode in modes}
    plain, held = Gauge("plain", "A gauge."), Gauge("held", "A gauge.")
    set_to = %s
    for gauge in [*gauges.values(), plain] if set_to is not None else []:
        gauge.set(set_to)
    held.inc()
    held.dec()
    print(*(f"{name}={value:g}" for (name, labels), value in sorted(samples().items())
            if name.startswith("of_") or name in ("plain", "held")))
    """
    serve(directory, script % 3)
    serve(directory, script % 2)

    printed = serve(directory, script % None)

    assert printed == (
        "held=0 of_all=2 of_livemax=0 of_livesum=0 "
        "of_max=3 of_min=2 of_mostrecent=2 of_sum=5 plain=2"
    )


def test_histograms_and_processor_time_go_on(directory: Path):
    script = """
    record_db_query("select", "a", 0.002)
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    kind = {"operation": "select"}
    print(sample_value("db_query_duration_seconds_count", **kind),
          round(sample_value("db_query_duration_seconds_sum", **kind), 6),
          sample_value("db_query_duration_seconds_bucket", le="0.005", **kind),
          sample_value("process_cpu_seconds_total"))
    """
    first, second = serve(directory, script).split(), serve(directory, script).split()

    assert first[:3] == ["1.0", "0.002", "1.0"]
    assert second[:3] == ["2.0", "0.004", "2.0"]
    assert float(second[3]) >= float(first[3]) + 0.1


def test_a_family_of_another_declaration_starts_at_zero_alone(directory: Path):
    one = """
    sizes = Histogram("sizes", "Sizes.", buckets=%s)
    sizes.observe(1.5)
    METRICS.cache_hits_total.inc()
    print(sample_value("sizes_count"), sample_value("cache_hits_total"))
    """
    serve(directory, one % [1, 2])

    assert serve(directory, one % [1, 2]) == "2.0 2.0"
    assert serve(directory, one % [1, 5]) == "1.0 3.0"


def test_releases_that_declare_a_family_otherwise_run_side_by_side(directory: Path):
    one = """
    sizes = Histogram("sizes", "Sizes.", buckets=%s)
    sizes.observe(1.5)
    print(sample_value("sizes_count"), sample_value("tachikoma_metrics_errors_total"))
    """
    with serving(directory, one % [1, 2]) as before, serving(directory, one % [1, 5]) as after:
        assert (before, after) == ("1.0 None", "2.0 None")


def test_a_slot_that_is_in_the_archive_already_counts_once(directory: Path, tmp_path: Path):
    serve(directory, COUNT)
    shutil.copy(directory / "slot-0", tmp_path / "kept")
    serve(directory, COUNT)
    # As it is for a moment, and after a process was killed in that moment.
    shutil.copy(tmp_path / "kept", directory / "slot-7")

    assert serve(directory, COUNT) == "3.0"
    assert serve(directory, COUNT) == "4.0"
    assert not (directory / "slot-7").exists()


@pytest.mark.parametrize("content", [b"", b"nothing", b"\0" * 4096])
def test_a_damaged_archive_costs_what_is_in_it_alone(directory: Path, content: bytes):
    serve(directory, COUNT)
    serve(directory, COUNT)
    (directory / "archive").write_bytes(content)

    printed = serve(
        directory,
        """
        METRICS.cache_hits_total.inc()
        print(sample_value("cache_hits_total"),
              sample_value("tachikoma_metrics_errors_total", source="store") > 0)
        """,
    )

    assert printed == "2.0 True"


def test_label_sets_that_the_project_removes_are_gone_from_the_archive(directory: Path):
    script = """
    things = Counter("things", "Things.", ["kind"])
    things.labels("mine").inc()
    if len(sys.argv) > 1:
        things.labels("theirs").inc()
        things.remove("theirs")
    else:
        things.labels("theirs").inc()
    print(*sorted(dict(labels)["kind"] for (name, labels), _ in samples().items()
                  if name == "things_total"))
    """
    serve(directory, script)
    serve(directory, script)

    assert serve(directory, AS_WORKER + script) == "mine"


def test_who_cannot_say_at_once_that_he_serves_says_so_later(directory: Path):
    serve(directory, counted("rare"))
    late = """
    METRICS.cache_hits_total.inc()
    unlock = lock_directory()
    from tachikoma_metrics.middleware import MetricsMiddleware
    MetricsMiddleware(lambda request: None)
    unlock()
    from tachikoma_metrics.store import STORE
    STORE.revisit()
    record_file_change("new", "applied")
    print(sample_value("tachikoma_metrics_errors_total", source="store"))
    """
    assert [run(late, directory) for _ in range(2)] == ["0.0\n", "0.0\n"]

    assert serve(directory, counted("new")) == "new=3"
