from __future__ import annotations

import gc
import signal

import prometheus_client
import pytest
from django.test import override_settings
from prometheus_client import REGISTRY, CollectorRegistry

from tachikoma_metrics import (
    METRICS,
    __version__,
    record_cache_hit,
    record_db_query,
    record_file_change,
    testing,
)
from tachikoma_metrics.testing import sample_value, samples


def label_sets(name: str) -> set[frozenset[tuple[str, str]]]:
    return {labels for sample, labels in samples() if sample == name}


def test_metrics_are_prometheus_client_objects_in_its_registry():
    assert isinstance(METRICS.http_requests_total, prometheus_client.Counter)
    assert isinstance(METRICS.http_request_duration_seconds, prometheus_client.Histogram)
    assert isinstance(METRICS.http_requests_in_flight, prometheus_client.Gauge)
    assert METRICS.registry is REGISTRY

    METRICS.cache_hits_total.inc()
    assert REGISTRY.get_sample_value("cache_hits_total") == 1


def test_the_installed_version_is_exposed():
    assert sample_value("tachikoma_metrics_info", version=__version__) == 1


def test_a_gauge_that_is_set_has_no_sample_before():
    assert sample_value("missions_total") is None
    assert sample_value("http_requests_in_flight") == 0

    METRICS.missions_total.set(3)
    METRICS.specs_total.labels("done").set(0)

    assert sample_value("missions_total") == 3
    assert sample_value("specs_total", status="done") == 0


@override_settings(TACHIKOMA_METRICS={"NAMESPACE": "shop"})
def test_the_namespace_is_a_prefix_of_all_but_the_packages_own_health():
    record_cache_hit()

    assert sample_value("shop_cache_hits_total") == 1
    assert sample_value("cache_hits_total") is None
    assert sample_value("tachikoma_metrics_info", version=__version__) == 1


@override_settings(
    TACHIKOMA_METRICS={
        "LATENCY_BUCKETS": [1, 2],
        "BUCKETS": {
            "http_response_time_to_first_byte_seconds": [3],
            "db_query_duration_seconds": [4],
        },
        "EXTRA_METRICS": ["http_response_time_to_first_byte_seconds"],
    }
)
def test_buckets_come_from_the_settings():
    METRICS.http_request_duration_seconds.labels("GET", "/").observe(1)
    METRICS.http_response_time_to_first_byte_seconds.labels("GET", "/").observe(1)
    METRICS.db_query_duration_seconds.labels("select").observe(1)

    bounds = {
        name: {dict(labels)["le"] for labels in label_sets(f"{name}_bucket")}
        for name in (
            "http_request_duration_seconds",
            "http_response_time_to_first_byte_seconds",
            "db_query_duration_seconds",
        )
    }
    assert bounds == {
        "http_request_duration_seconds": {"1.0", "2.0", "+Inf"},
        "http_response_time_to_first_byte_seconds": {"3.0", "+Inf"},
        "db_query_duration_seconds": {"4.0", "+Inf"},
    }


@override_settings(
    TACHIKOMA_METRICS={
        "LABELS": {"db_queries_total": ["alias", "operation"], "cache_hits_total": ["cache"]}
    }
)
def test_labels_come_from_the_settings_in_their_order():
    record_db_query("select", "orders", 0.1, alias="replica")
    record_cache_hit(cache="sessions")
    METRICS.db_queries_total.labels("default", "insert").inc()

    assert sample_value("db_queries_total", alias="replica", operation="select") == 1
    assert sample_value("db_queries_total", alias="default", operation="insert") == 1
    assert sample_value("cache_hits_total", cache="sessions") == 1


@override_settings(TACHIKOMA_METRICS={"LABELS": {"db_queries_total": ["operation", "nothing"]}})
def test_an_impossible_label_is_left_out_where_no_check_ran():
    record_db_query("select", "orders", 0.1)

    assert sample_value("db_queries_total", operation="select") == 1


@override_settings(TACHIKOMA_METRICS={"DISABLED_METRICS": ["db_queries_total"]})
def test_a_disabled_metric_is_not_exposed_and_the_others_are():
    record_db_query("select", "orders", 0.1)
    METRICS.db_queries_total.labels("select", "orders").inc()

    assert "db_queries_total" not in METRICS.encode()
    assert sample_value("db_query_duration_seconds_count", operation="select") == 1


def test_an_opt_in_metric_is_not_exposed_until_switched_on():
    assert "ws_disconnects_total" not in METRICS.encode()

    with override_settings(TACHIKOMA_METRICS={"EXTRA_METRICS": ["ws_disconnects_total"]}):
        METRICS.ws_disconnects_total.labels("1000").inc()
        assert sample_value("ws_disconnects_total", code="1000") == 1

    assert "ws_disconnects_total" not in METRICS.encode()


def test_a_change_of_settings_keeps_the_totals_of_metrics_it_does_not_affect():
    record_cache_hit()

    with override_settings(TACHIKOMA_METRICS={"LATENCY_BUCKETS": [1]}):
        record_cache_hit()

    record_cache_hit()
    assert sample_value("cache_hits_total") == 3


def test_a_gauge_whose_latest_value_wins_can_be_counted_with_too():
    METRICS.missions_total.inc(3)
    METRICS.missions_total.dec()

    assert sample_value("missions_total") == 2


def test_a_reference_outlives_other_settings_and_a_reset():
    family = METRICS.cache_hits_total
    family.inc()
    with override_settings(TACHIKOMA_METRICS={"NAMESPACE": "shop"}):
        record_cache_hit()
        assert sample_value("shop_cache_hits_total") == 1
    family.inc()
    assert sample_value("cache_hits_total") == 2

    testing.reset()
    family.inc()
    assert sample_value("cache_hits_total") == 1


def test_a_registry_that_was_emptied_is_filled_again(registry: CollectorRegistry):
    emptied = list(registry._collector_to_names)
    for collector in emptied:
        registry.unregister(collector)
    try:
        with override_settings(TACHIKOMA_METRICS={"NAMESPACE": "shop"}):
            record_cache_hit()
            assert sample_value("shop_cache_hits_total") == 1
    finally:
        for collector in list(registry._collector_to_names):
            registry.unregister(collector)
        for collector in emptied:
            registry.register(collector)


class Recording:
    """Something whose end is recorded, wherever the collection of garbage finds it."""

    def __init__(self, change_type: str) -> None:
        self.change_type = change_type
        self.itself = self

    def __del__(self) -> None:
        record_file_change(self.change_type, "finalised")


def test_a_finaliser_that_records_does_not_hang():
    threshold = gc.get_threshold()
    gc.set_threshold(1)
    try:
        for number in range(300):
            Recording(f"type-{number % 50}")
            record_file_change(f"other-{number % 50}", "recorded")
    finally:
        gc.set_threshold(*threshold)
    gc.collect()

    recorded = {dict(k[1])["status"]: 0.0 for k in samples() if k[0] == "file_changes_total"}
    for (name, labels), value in samples().items():
        if name == "file_changes_total":
            recorded[dict(labels)["status"]] += value
    assert recorded == {"finalised": 300, "recorded": 300}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_a_signal_handler_that_records_neither_hangs_nor_loses_anything():
    caught = 0

    def record(number: int, frame: object) -> None:
        nonlocal caught
        caught += 1
        METRICS.cache_hits_total.inc()

    before = signal.signal(signal.SIGALRM, record)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(100_000):
            METRICS.cache_hits_total.inc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert caught > 0
    assert sample_value("cache_hits_total") == 100_000 + caught


@pytest.mark.parametrize("labels", [("a",), ("a", "b", "c")])
def test_a_wrong_number_of_labels_is_an_error_as_in_prometheus_client(labels: tuple[str, ...]):
    with pytest.raises(ValueError, match="Incorrect label count"):
        METRICS.file_changes_total.labels(*labels)


def test_wrong_label_names_are_an_error_as_in_prometheus_client():
    with pytest.raises(ValueError, match="Incorrect label names"):
        METRICS.file_changes_total.labels(change="a", status="b")


def test_a_child_has_no_label_sets_of_its_own():
    child = METRICS.file_changes_total.labels("modify", "applied")

    with pytest.raises(ValueError, match="already has labels set"):
        child.labels("modify", "applied")


@pytest.mark.parametrize("labels", [(), ("a",)])
def test_a_metric_without_labels_has_no_children(labels: tuple[str, ...]):
    with pytest.raises(ValueError, match="No label names were set"):
        METRICS.cache_hits_total.labels(*labels)
