"""The view of django-prometheus beside django-prometheus itself, under the same load."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tachikoma_metrics.catalogue import FAMILIES
from tachikoma_metrics.catalogue.views import VIEWS, DerivedMetric
from tests.projects import Project

VIEW = VIEWS["django-prometheus"]

SETTINGS = """
INSTALLED_APPS += ["django_prometheus"]
MIDDLEWARE += [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
DATABASES["default"]["ENGINE"] = "django_prometheus.db.backends.sqlite3"
CACHES = {"default": {"BACKEND": "django_prometheus.cache.backends.locmem.LocMemCache"}}
PROMETHEUS_EXPORT_MIGRATIONS = False
PROMETHEUS_METRIC_NAMESPACE = "shop"
TACHIKOMA_METRICS["VIEWS"] = ["django-prometheus"]
TACHIKOMA_METRICS["LABELS"] = {"http_requests_total": ["method"]}
"""

URLS = """
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
from django.urls import path


def hello(request):
    cache.set("known", 1)
    return HttpResponse(f"hello {cache.get('known')} {cache.get('unknown', 2)}")


def upload(request):
    return HttpResponse("x" * len(request.body))


def query(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.execute("SELECT %s", [2])
    return HttpResponse(str(ContentType.objects.filter(pk=0).exists()))


def fail(request):
    raise ValueError("failed on purpose")


urlpatterns = [
    path("hello/", hello, name="hello"),
    path("upload/", upload),
    path("query/", query, name="query"),
    path("fail/", fail, name="fail"),
]
"""

LOAD = """
import json
import logging

from django.core.management import call_command
from django.test import Client
from prometheus_client import REGISTRY

import django_prometheus.cache.metrics, django_prometheus.db.metrics
from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition.parse import parse_text

logging.disable()
call_command("migrate", verbosity=0)
METRICS.reset()
for collector in set(REGISTRY._collector_to_names):
    if getattr(collector, "_name", "").startswith("shop_") and collector._labelnames:
        collector.clear()

client = Client(raise_request_exception=False)
for _ in range(3):
    client.get("/hello/")
    client.get("/query/")
client.get("/hello/", secure=True)
client.generic("PURGE", "/hello/")
for size in (0, 99, 5000, 70000):
    client.post("/upload/", b"x" * size, content_type="text/plain")
client.get("/nowhere/")
client.get("/fail/")

theirs = METRICS.encode()
for collector in set(REGISTRY._collector_to_names):
    if getattr(collector, "_name", "").startswith("shop_"):
        REGISTRY.unregister(collector)
ours = METRICS.encode()
print(json.dumps([
    [[name, sorted(labels), value] for (name, labels), value in parse_text(text).items()]
    for text in (theirs, ours)
]))
"""

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Samples, Samples]:
    """Return what django-prometheus exposes, and what the view does."""
    home: Path = tmp_path_factory.mktemp("side by side")
    process = Project(home, SETTINGS, urls=URLS).run_code(LOAD)
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    theirs, ours = (
        {(name, tuple(map(tuple, labels))): value for name, labels, value in samples}
        for samples in json.loads(process.stdout)
    )
    return theirs, ours


def counts(samples: Samples, metric: DerivedMetric) -> Samples:
    """Return the samples of a metric, without sums of seconds and counts of fast requests."""
    stem = f"shop_{metric.name}"
    names = {stem, f"{stem}_count"}
    found = {key: value for key, value in samples.items() if key[0] in names}
    found |= {
        (name, labels): value
        for (name, labels), value in samples.items()
        if name == f"{stem}_bucket" and dict(labels)["le"] in ("10.0", "75.0", "+Inf")
    }
    return found


EQUAL = [
    "django_http_requests_before_middlewares_total",
    "django_http_responses_before_middlewares_total",
    "django_http_requests_latency_including_middlewares_seconds",
    "django_http_requests_unknown_latency_including_middlewares_total",
    "django_http_requests_unknown_latency_total",
    "django_http_requests_total_by_method_total",
    "django_http_requests_total_by_transport_total",
    "django_http_requests_total_by_view_transport_method_total",
    "django_http_responses_total_by_status_total",
    "django_http_responses_total_by_status_view_method_total",
    "django_db_execute_total",
    "django_db_query_duration_seconds",
    "django_cache_get_total",
    "django_cache_get_hits_total",
    "django_cache_get_misses_total",
]


def metric(name: str) -> DerivedMetric:
    return next(one for one in VIEW.metrics if one.name == name)


@pytest.mark.parametrize("name", EQUAL)
def test_the_view_counts_what_django_prometheus_counts(name: str, both: tuple[Samples, Samples]):
    theirs, ours = (counts(samples, metric(name)) for samples in both)

    assert theirs
    # Errors that have not happened are at 0 in ours alone.
    assert {key: value for key, value in ours.items() if value or key in theirs} == theirs


def test_a_request_whose_view_raised_has_one_duration_not_two(both: tuple[Samples, Samples]):
    latency = metric("django_http_requests_latency_seconds_by_view_method")
    theirs, ours = (counts(samples, latency) for samples in both)
    failed = (f"shop_{latency.name}_count", (("method", "GET"), ("view", "fail")))

    assert (theirs[failed], ours[failed]) == (2, 1)


def test_other_durations_by_view_are_counted_as_by_django_prometheus(both: tuple[Samples, Samples]):
    latency = metric("django_http_requests_latency_seconds_by_view_method")
    theirs, ours = (
        {
            key: value
            for key, value in counts(samples, latency).items()
            # It counts the method PURGE as such here, and as invalid elsewhere.
            if ("view", "fail") not in key[1] and ("method", "GET") in key[1]
        }
        for samples in both
    )

    assert theirs
    assert ours == theirs


def test_neither_is_an_instrumentation_error(both: tuple[Samples, Samples]):
    for samples in both:
        assert not any(
            value
            for (name, _), value in samples.items()
            if name == "tachikoma_metrics_errors_total"
        )


@pytest.mark.parametrize("kind", ["requests", "responses"])
def test_bodies_have_the_same_bytes(kind: str, both: tuple[Samples, Samples]):
    key = (f"shop_django_http_{kind}_body_total_bytes_sum", ())
    theirs, ours = (samples[key] for samples in both)

    assert ours == theirs


def test_the_bounds_of_durations_are_those_of_django_prometheus(both: tuple[Samples, Samples]):
    theirs, ours = (
        {
            (name, dict(labels)["le"])
            for name, labels in samples
            if name.startswith("shop_") and "seconds" in name and name.endswith("_bucket")
        }
        for samples in both
    )

    assert ours == theirs


def test_the_standard_metrics_keep_their_own_labels_and_bounds(both: tuple[Samples, Samples]):
    _, ours = both
    labels = {frozenset(dict(labels)) for name, labels in ours if name == "http_requests_total"}
    bounds = {
        dict(labels)["le"]
        for name, labels in ours
        if name == "http_request_duration_seconds_bucket"
    }

    assert labels == {frozenset({"method"})}
    assert len(bounds) == 13
    assert "0.001" in bounds
    assert "0.075" not in bounds


def test_each_metric_is_derived_or_has_a_reason(both: tuple[Samples, Samples]):
    theirs, _ = both
    stems = {
        name.removeprefix("shop_").removesuffix(end)
        for name, _ in theirs
        if name.startswith("shop_django_")
        for end in ("_bucket", "_sum", "_count")
        if name.endswith(end)
    }
    counters = {
        name.removeprefix("shop_")
        for name, _ in theirs
        if name.startswith("shop_django_") and name.endswith("_total")
    }
    explained = {one.name for one in VIEW.metrics} | set(VIEW.missing)

    assert stems | counters <= explained


def test_sources_that_exist_have_the_labels_that_are_needed():
    for view in VIEWS.values():
        for one in view.metrics:
            for source in one.sources:
                if source in FAMILIES:
                    assert set(one.needed_labels) <= set(FAMILIES[source].allowed_label_names)
