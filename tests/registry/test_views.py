from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client, override_settings
from prometheus_client import CollectorRegistry, Counter

from tachikoma_metrics import METRICS, conf, exposition, record_cache_hit
from tachikoma_metrics.catalogue.views import VIEWS, DerivedLabel, DerivedMetric, View
from tachikoma_metrics.catalogue.views.django_prometheus import LATENCY_BUCKETS
from tachikoma_metrics.recording.events import CACHE_HIT, DB_QUERY
from tachikoma_metrics.testing import sample_value, samples
from tests.projects import Project

DJANGO_PROMETHEUS = {"VIEWS": ["django-prometheus"]}
OPENTELEMETRY = {"VIEWS": ["opentelemetry"]}


def labels_of(name: str) -> list[dict[str, str]]:
    return [dict(labels) for one, labels in samples() if one == name]


def test_nothing_is_derived_without_views(client: Client):
    client.get("/hello/")

    assert not any(name.startswith("django_http_") for name, _ in samples())
    assert METRICS.bound("http_requests_total").shape.hidden_labels == ()


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS)
def test_label_sets_that_become_equal_are_added_up(client: Client):
    client.get("/hello/")
    client.get("/hello/")
    client.post("/hello/")

    assert sample_value("django_http_requests_before_middlewares_total") == 3
    assert sample_value("django_http_requests_total_by_method_total", method="GET") == 2
    labels = {"status": "200", "view": "hello", "method": "POST"}
    assert sample_value("django_http_responses_total_by_status_view_method_total", **labels) == 1


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS)
def test_the_sources_are_exposed_as_without_views(client: Client):
    client.get("/hello/")
    client.get("/hello/", secure=True)

    labels = {"method": "GET", "path": "/hello/"}
    assert sample_value("http_requests_total", status="200", **labels) == 2
    assert sample_value("http_request_duration_seconds_count", **labels) == 2
    assert len(labels_of("http_request_duration_seconds_bucket")) == 13


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS)
def test_a_metric_without_labels_is_zero_before_anything_is_counted():
    assert sample_value("django_http_requests_before_middlewares_total") == 0
    assert sample_value("django_http_requests_unknown_latency_total") == 0
    assert sample_value("cache_hits_total") == 0
    name = "django_http_requests_latency_including_middlewares_seconds"
    assert sample_value(f"{name}_bucket", le="+Inf") == 0


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS)
def test_projects_change_the_sources_by_the_labels_that_they_expose():
    METRICS.cache_hits_total.inc(2)
    METRICS.http_requests_total.labels("GET", "/shop", "200").inc()
    METRICS.http_requests_total.labels(method="GET", path="/shop", status="200").inc()

    assert sample_value("cache_hits_total") == 2
    labels = {"method": "GET", "path": "/shop", "status": "200"}
    assert sample_value("http_requests_total", **labels) == 2

    METRICS.http_requests_total.remove("GET", "/shop", "200")
    assert sample_value("http_requests_total", **labels) is None


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS)
def test_a_label_set_that_a_project_made_is_exposed_before_it_has_a_value():
    METRICS.http_requests_total.labels("GET", "/shop", "200")

    labels = {"method": "GET", "path": "/shop", "status": "200"}
    assert sample_value("http_requests_total", **labels) == 0


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS)
def test_what_an_alias_stands_for_comes_from_the_settings():
    DB_QUERY.record(("select", "shop_order", "default"), (1, 0.02))
    DB_QUERY.record(("select", "shop_order", "dropped"), (1, 0.02))
    CACHE_HIT.record(("default",), (1,))

    assert sample_value("django_db_execute_total", alias="default", vendor="sqlite") == 1
    assert sample_value("django_db_execute_total", alias="dropped", vendor="dropped") == 1
    assert sample_value("django_cache_get_total", backend="locmem") == 1


def test_a_request_without_a_route_has_no_view(client: Client):
    with override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS):
        client.get("/nowhere/")

        labels = {"status": "404", "view": "<unnamed view>", "method": "GET"}
        name = "django_http_responses_total_by_status_view_method_total"
        assert sample_value(name, **labels) == 1
        assert labels_of("django_http_requests_total_by_view_transport_method_total") == []


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS, PROMETHEUS_METRIC_NAMESPACE="shop")
def test_the_namespace_of_django_prometheus_is_honoured():
    METRICS.bind()

    assert sample_value("shop_django_http_requests_before_middlewares_total") == 0
    assert sample_value("django_http_requests_before_middlewares_total") is None


@pytest.mark.parametrize(
    ("setting", "bounds"),
    [
        ((0.2, 2, float("inf")), (0.2, 2)),
        ([3, 1], LATENCY_BUCKETS),
        ("fast", LATENCY_BUCKETS),
        (None, LATENCY_BUCKETS),
    ],
)
def test_the_buckets_of_django_prometheus_are_honoured_if_they_are_valid(
    setting: object, bounds: tuple[float, ...]
):
    declared = {"TACHIKOMA_METRICS": DJANGO_PROMETHEUS, "PROMETHEUS_LATENCY_BUCKETS": setting}
    with override_settings(**declared):
        conf.reload()
        name = "django_http_requests_latency_including_middlewares_seconds_bucket"
        found = [float(labels["le"]) for labels in labels_of(name)]

    assert found == [*bounds, float("inf")]


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS)
def test_a_metric_of_another_collector_takes_precedence(registry: CollectorRegistry):
    name = "django_http_requests_before_middlewares_total"
    Counter(name, "Of django-prometheus.", registry=registry).inc(7)

    assert sample_value(name) == 7
    assert sample_value("tachikoma_metrics_errors_total", source="duplicate") is None


@override_settings(
    TACHIKOMA_METRICS={**DJANGO_PROMETHEUS, "DISABLED_METRICS": ["http_request_duration_seconds"]}
)
def test_what_is_derived_from_a_disabled_metric_is_left_out():
    found = {name for name, _ in samples()}

    assert "django_http_requests_before_middlewares_total" in found
    assert "django_http_requests_latency_including_middlewares_seconds_count" not in found


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS)
def test_one_derived_metric_can_be_asked_for(client: Client):
    client.get("/hello/")
    name = "django_http_requests_total_by_method_total"
    text = METRICS.expose(exposition.TEXT, frozenset({name}))

    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert lines == [f'{name}{{method="GET"}} 1.0']


@override_settings(TACHIKOMA_METRICS=OPENTELEMETRY)
def test_requests_have_the_names_of_opentelemetry(client: Client):
    client.get("/hello/")
    client.get("/nowhere/")
    client.generic("PURGE", "/hello/")

    found = labels_of("http_server_request_duration_seconds_count")
    common = {"http_request_method": "GET", "url_scheme": "http", "error_type": ""}
    assert {**common, "http_route": "/hello/", "http_response_status_code": "200"} in found
    assert {**common, "http_route": "", "http_response_status_code": "404"} in found
    assert "_OTHER" in {labels["http_request_method"] for labels in found}


def test_only_server_errors_have_an_error_type(client: Client):
    client.raise_request_exception = False
    with override_settings(TACHIKOMA_METRICS=OPENTELEMETRY):
        client.get("/fail/")
        client.get("/missing/")

        found = labels_of("http_server_request_duration_seconds_count")
    assert {labels["error_type"] for labels in found} == {"500", ""}


@override_settings(TACHIKOMA_METRICS=OPENTELEMETRY)
def test_queries_have_the_names_of_opentelemetry():
    DB_QUERY.record(("select", "shop_order", "default"), (1, 0.02))
    DB_QUERY.record(("ddl", "shop_order", "default"), (1, 0.02))

    common = {"db_system_name": "sqlite", "db_namespace": "default"}
    for operation in ("SELECT", ""):
        labels = {**common, "db_operation_name": operation}
        assert sample_value("db_client_operation_duration_seconds_count", **labels) == 1


@override_settings(TACHIKOMA_METRICS={**DJANGO_PROMETHEUS, "CARDINALITY_LIMIT": 2})
def test_views_do_not_exceed_the_limit(client: Client):
    for path in ("/hello/", "/teapot/", "/en/plain/", "/missing/"):
        client.get(path)

    assert sample_value("django_http_requests_before_middlewares_total") == 4
    views = {
        labels["view"]
        for labels in labels_of("django_http_responses_total_by_status_view_method_total")
    }
    assert "overflow" in views
    assert len(views) == 2


def test_values_of_all_processes_are_added_up_also_of_those_without_the_view(tmp_path: Path):
    project = Project(tmp_path / "site", "VIEWS = []\nTACHIKOMA_METRICS['VIEWS'] = VIEWS\n")
    process = project.run_code(
        """
import os
from django.conf import settings
from tachikoma_metrics import conf
from tachikoma_metrics.recording.events import CACHE_HIT
from tachikoma_metrics.testing import sample_value

CACHE_HIT.record(("default",), (1,))
child = os.fork()
if not child:
    settings.TACHIKOMA_METRICS["VIEWS"] = ["django-prometheus"]
    conf.reload()
    CACHE_HIT.record(("default",), (1,))
    print(sample_value("cache_hits_total"))
    print(sample_value("django_cache_get_hits_total", backend="locmem"))
    print(sample_value("tachikoma_metrics_errors_total", source="render"), flush=True)
    os._exit(0)
os.waitpid(child, 0)
"""
    )

    assert process.stderr == ""
    assert process.stdout.split() == ["2.0", "1.0", "None"]


def test_a_gauge_is_derived_from_what_its_function_returns(monkeypatch: pytest.MonkeyPatch):
    label = DerivedLabel("state", "status", renamed={"open": "todo"})
    gauge = DerivedMetric("foreign_specs_total", "gauge", "Specs.", ("specs_total",), (label,))
    monkeypatch.setitem(VIEWS, "opentelemetry", View("opentelemetry", (gauge,), {}))
    with override_settings(TACHIKOMA_METRICS=OPENTELEMETRY):
        conf.reload()
        counts = {("open",): 3.0, ("done",): 4.0}
        monkeypatch.setattr(METRICS.specs_total, "function", lambda names: counts)

        assert sample_value("foreign_specs_total", state="todo") == 3
        assert sample_value("foreign_specs_total", state="done") == 4
        assert sample_value("specs_total", status="open") == 3
    conf.reload()


def test_a_source_that_raises_leaves_out_what_is_derived_from_it_alone(
    monkeypatch: pytest.MonkeyPatch,
):
    gauge = DerivedMetric("foreign_specs_total", "gauge", "Specs.", ("specs_total",))
    constant = DerivedMetric("foreign_nothing_total", "counter", "Nothing.")
    monkeypatch.setitem(VIEWS, "opentelemetry", View("opentelemetry", (gauge, constant), {}))

    def fail(names: tuple[str, ...]) -> dict[tuple[str, ...], float]:
        raise ValueError("failed on purpose")

    with override_settings(TACHIKOMA_METRICS=OPENTELEMETRY):
        conf.reload()
        monkeypatch.setattr(METRICS.specs_total, "function", fail)

        assert sample_value("foreign_specs_total") is None
        assert sample_value("foreign_nothing_total") == 0
        assert sample_value("tachikoma_metrics_errors_total", source="collector")
    conf.reload()


@override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS)
def test_an_exemplar_keeps_its_exposed_labels():
    labels = ("GET", "/shop")
    METRICS.http_request_duration_seconds.labels(*labels).observe(0.02, {"trace_id": "abc"})

    text = METRICS.expose(exposition.OPENMETRICS)
    line = next(line for line in text.splitlines() if "trace_id" in line)
    assert line.startswith('http_request_duration_seconds_bucket{le="0.025",method="GET"')


def test_a_cache_hit_without_an_alias_is_counted():
    with override_settings(TACHIKOMA_METRICS=DJANGO_PROMETHEUS):
        record_cache_hit()

        assert sample_value("cache_hits_total") == 1


def test_a_label_of_the_project_is_on_the_metrics_derived_from_its_source(client: Client):
    declared = {
        **DJANGO_PROMETHEUS,
        "EXTRA_LABELS": {"tenant": "tests.views.tenant"},
        "LABELS": {"http_requests_total": ["method", "tenant"]},
    }
    with override_settings(TACHIKOMA_METRICS=declared):
        client.get("/hello/", headers={"X-Tenant": "blue"})
        client.get("/hello/", headers={"X-Tenant": "red"})
        client.get("/hello/", headers={"X-Tenant": "red"})

        by_method = "django_http_requests_total_by_method_total"
        assert sample_value(by_method, method="GET", tenant="red") == 2
        assert sample_value("django_http_requests_before_middlewares_total", tenant="blue") == 1
        (labels,) = labels_of("django_http_requests_latency_seconds_by_view_method_count")
        assert "tenant" not in labels
