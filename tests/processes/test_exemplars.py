"""Exemplars of processes that live, that were killed, and that come after them."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.processes.scripts import run

TOOLS = """
from tachikoma_metrics.exposition import OPENMETRICS
from prometheus_client.openmetrics.parser import text_string_to_metric_families

def exemplars(name):
    text = METRICS.expose(OPENMETRICS)
    return [
        sample.exemplar.labels
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and sample.exemplar
    ]

requests = Counter("shop_requests_total", "Requests.", ["page"])
seconds = Histogram("shop_seconds", "Seconds.", buckets=(0.1, 1))

def buy(number, amount=0.5):
    requests.labels("buy").inc(exemplar={"trace_id": number})
    seconds.observe(amount, exemplar={"trace_id": number})
    METRICS.http_request_duration_seconds.labels("GET", "/").observe(amount, {"trace_id": number})
    METRICS.http_requests_total.labels("GET", "/", "200").inc(1, {"trace_id": number})

def found():
    return [
        [one["trace_id"] for one in exemplars(name)]
        for name in (
            "shop_requests_total",
            "shop_seconds_bucket",
            "http_request_duration_seconds_bucket",
            "http_requests_total",
        )
    ]
"""


def test_those_of_a_killed_process_are_shown(tmp_path: Path):
    script = """
    kill(in_child(buy, "first", live=True))
    assert found() == [["first"]] * 4, found()
    assert sample_value("shop_requests_total", page="buy") == 1
    """
    run(TOOLS + textwrap.dedent(script), tmp_path / "store")


def test_the_newest_of_all_processes_is_shown(tmp_path: Path):
    script = """
    buy("own")
    living = in_child(buy, "child", live=True)
    assert found() == [["child"]] * 4, found()
    buy("own again")
    in_child(buy, "slow", 3.0)
    assert found() == [["slow"], ["own again", "slow"], ["own again", "slow"], ["slow"]], found()
    kill(living)
    assert found() == [["slow"], ["own again", "slow"], ["own again", "slow"], ["slow"]], found()
    """
    run(TOOLS + textwrap.dedent(script), tmp_path / "store")


def test_a_process_that_takes_over_a_file_keeps_them(tmp_path: Path):
    script = """
    buy("parent")
    kill(in_child(buy, "killed", 3.0, live=True))
    before = slots()
    kill(in_child(buy, "successor", live=True))
    assert slots() == before
    buckets = ["successor", "killed"]
    assert found() == [["successor"], buckets, buckets, ["successor"]], found()
    """
    run(TOOLS + textwrap.dedent(script), tmp_path / "store")


def test_a_forked_child_starts_without(tmp_path: Path):
    script = """
    buy("parent")
    def look():
        METRICS.cache_hits_total.inc()
        assert found() == [["parent"]] * 4, found()
    in_child(look)
    """
    run(TOOLS + textwrap.dedent(script), tmp_path / "store")


def test_those_older_than_ten_minutes_are_not_shown(tmp_path: Path):
    script = """
    import unittest.mock
    with unittest.mock.patch("time.time", lambda: clock() - 601):
        buy("old")
    assert found() == [[]] * 4, found()
    """
    run(TOOLS + "clock = time.time\n" + textwrap.dedent(script), tmp_path / "store")


def test_values_in_memory_have_them_and_take_them_to_the_file(tmp_path: Path):
    script = """
    import os
    os.mkdir(os.environ["STORE"])
    os.chmod(os.environ["STORE"], 0o777)
    buy("in memory")
    assert found() == [["in memory"]] * 4, found()
    assert not slots()
    os.chmod(os.environ["STORE"], 0o700)
    from tachikoma_metrics.store import STORE
    STORE.revisit()
    METRICS.cache_hits_total.inc()
    assert slots()
    assert found() == [["in memory"]] * 4, found()
    """
    run(
        TOOLS + textwrap.dedent(script),
        tmp_path / "store",
        before="import logging; logging.disable()",
    )


def test_a_metric_of_another_registry_keeps_its_own(tmp_path: Path):
    script = """
    from prometheus_client import CollectorRegistry
    from prometheus_client.openmetrics.exposition import generate_latest
    registry = CollectorRegistry()
    Counter("apart_total", "Apart.", registry=registry).inc(exemplar={"trace_id": "own"})
    assert b'trace_id="own"' in generate_latest(registry)
    assert exemplars("apart_total") == []
    """
    run(TOOLS + textwrap.dedent(script), tmp_path / "store")


def test_a_removed_label_set_takes_its_exemplars_with_it(tmp_path: Path):
    script = """
    kill(in_child(buy, "killed", live=True))
    buy("own")
    requests.remove("buy")
    METRICS.http_requests_total.remove("GET", "/", "200")
    requests.labels("buy").inc()
    METRICS.http_requests_total.labels("GET", "/", "200").inc()
    assert found()[0] == [] and found()[3] == [], found()
    """
    run(TOOLS + textwrap.dedent(script), tmp_path / "store")


def test_a_reader_never_finds_a_mixture(tmp_path: Path):
    script = """
    def write():
        number = 0
        while True:
            number += 1
            METRICS.http_requests_total.labels("GET", "/", "200").inc(
                1, {"trace_id": f"{number % 256:02x}" * 16, "span_id": f"{number % 256:02x}" * 8}
            )
    METRICS.http_requests_total.labels("GET", "/", "200").inc()
    pid = os.fork()
    if pid == 0:
        write()
    seen = set()
    while len(seen) < 50:
        for one in exemplars("http_requests_total"):
            assert len(set(zip(one["trace_id"][::2], one["trace_id"][1::2]))) == 1, one
            assert one["trace_id"].startswith(one["span_id"]), one
            seen.add(one["trace_id"])
    kill(pid)
    """
    run(TOOLS + textwrap.dedent(script), tmp_path / "store")
