"""Above CARDINALITY_LIMIT, label sets are aggregated into ``overflow``."""

from __future__ import annotations

import sys
import threading

import pytest
from django.test import override_settings

from tachikoma_metrics import (
    METRICS,
    record_db_query,
    record_file_change,
)
from tachikoma_metrics.catalogue.labels import MOST_OVERFLOWED
from tachikoma_metrics.testing import sample_value, samples


def label_sets(name: str) -> set[frozenset[tuple[str, str]]]:
    return {labels for sample, labels in samples() if sample == name}


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 3})
def test_above_the_limit_a_label_set_becomes_overflow():
    for number in range(5):
        record_file_change(f"type-{number}", "applied")
    record_file_change("type-0", "applied")

    assert label_sets("file_changes_total") == {
        frozenset({("change_type", "type-0"), ("status", "applied")}),
        frozenset({("change_type", "type-1"), ("status", "applied")}),
        frozenset({("change_type", "overflow"), ("status", "overflow")}),
    }
    assert sample_value("file_changes_total", change_type="type-0", status="applied") == 2
    assert sample_value("file_changes_total", change_type="overflow", status="overflow") == 3
    assert sample_value("tachikoma_metrics_overflow_total", family="file_changes_total") == 3
    assert sample_value("tachikoma_metrics_cardinality", family="file_changes_total") == 3


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 2})
def test_closed_labels_keep_their_values_above_the_limit():
    for table in ("first", "second", "third"):
        for operation in ("select", "insert"):
            record_db_query(operation, table, 0.1)

    assert label_sets("db_queries_total") == {
        frozenset({("operation", "select"), ("table", "first")}),
        frozenset({("operation", "select"), ("table", "overflow")}),
        frozenset({("operation", "insert"), ("table", "overflow")}),
    }
    assert sample_value("db_queries_total", operation="insert", table="overflow") == 3
    assert sample_value("tachikoma_metrics_overflow_total", family="db_queries_total") == 5
    assert sample_value("db_query_duration_seconds_count", operation="insert") == 3


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 10})
def test_closed_labels_with_many_values_are_bounded_as_well():
    for number in range(300):
        METRICS.http_requests_total.labels("GET", f"/{number}/", str(number)).inc()
        record_db_query(str(number), "orders", 0.1)

    for name in ("http_requests_total", "db_queries_total", "db_query_duration_seconds_count"):
        assert len(label_sets(name)) <= 10 + MOST_OVERFLOWED
    assert sum(v for (name, _), v in samples().items() if name == "db_queries_total") == 300
    assert sample_value("db_queries_total", operation="overflow", table="overflow") == 91


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 2})
def test_no_way_to_a_label_set_evades_the_limit():
    family = METRICS.file_changes_total
    family.labels("a", "applied").inc()
    family.labels(change_type="b", status="applied").inc()
    family.labels("c", "applied").inc()

    assert len(label_sets("file_changes_total")) == 2


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 2})
def test_every_event_above_the_limit_is_counted():
    record_file_change("modify", "applied")
    for _ in range(3):
        record_file_change("create", "applied")

    assert sample_value("tachikoma_metrics_overflow_total", family="file_changes_total") == 3


def test_more_label_sets_than_are_remembered_are_all_counted():
    with override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 100_000}):
        for number in [*range(5000), *range(5000)]:
            record_file_change(f"type-{number}", "applied")

        recorded = [value for (name, _), value in samples().items() if name == "file_changes_total"]
        assert recorded == [2] * 5000


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 2})
def test_a_full_metric_is_logged_once(caplog: pytest.LogCaptureFixture):
    for number in range(5):
        record_file_change(f"type-{number}", "applied")

    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "file_changes_total has reached CARDINALITY_LIMIT, 2 label sets" in caplog.text


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 5})
def test_threads_do_not_exceed_the_limit():
    barrier = threading.Barrier(8)

    def record(thread: int) -> None:
        barrier.wait()
        for number in range(20):
            record_file_change(f"{thread}-{number}", "applied")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=record, args=(thread,)) for thread in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)

    recorded = {
        labels: value for (name, labels), value in samples().items() if name == "file_changes_total"
    }
    assert len(recorded) == 5
    assert sum(recorded.values()) == 160


@override_settings(TACHIKOMA_METRICS={"CARDINALITY_LIMIT": 3})
def test_a_label_set_that_was_admitted_is_counted_however_late_it_gets_a_value():
    admitted = [METRICS.file_changes_total.labels(name, "applied") for name in ("add", "modify")]

    METRICS.file_changes_total.labels("delete", "applied").inc(7)
    for series in admitted:
        series.inc()

    name = "file_changes_total"
    assert sample_value(name, change_type="add", status="applied") == 1
    assert sample_value(name, change_type="modify", status="applied") == 1
    assert sample_value(name, change_type="overflow", status="overflow") == 7


def test_a_removed_label_set_starts_anew():
    for remove in (
        lambda: METRICS.file_changes_total.remove("modify", "applied"),
        lambda: METRICS.file_changes_total.remove_by_labels({"change_type": "modify"}),
        lambda: METRICS.file_changes_total.clear(),
    ):
        record_file_change("modify", "applied")
        record_file_change("modify", "applied")
        remove()
        assert sample_value("file_changes_total", change_type="modify", status="applied") is None

        record_file_change("modify", "applied")
        assert sample_value("file_changes_total", change_type="modify", status="applied") == 1
        METRICS.file_changes_total.clear()


def test_a_label_set_is_removed_by_the_values_it_was_made_with():
    METRICS.file_changes_total.labels("z" * 300, "applied").inc()
    METRICS.file_changes_total.remove("z" * 300, "applied")

    assert label_sets("file_changes_total") == set()
