"""What a project makes with prometheus_client is shared like the families of ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.processes.scripts import run


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


def test_what_was_set_last_is_shown_whatever_becomes_of_the_clock(directory: Path):
    script = """
    most_recent = Gauge("newest", "Newest.", multiprocess_mode="mostrecent")
    level = Gauge("level", "Level.")

    def set_to(value, seconds_ahead):
        now = time.time
        time.time = lambda: now() + seconds_ahead
        for gauge in (most_recent, level):
            gauge.set(value)

    first = in_child(set_to, 1, 3600, live=True)
    second = in_child(set_to, 2, 0, live=True)
    assert (sample_value("newest"), sample_value("level")) == (2, 2), samples()
    kill(first)
    kill(second)
    assert (sample_value("newest"), sample_value("level")) == (2, 2), samples()
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
    page = METRICS.expose(OPENMETRICS)
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
