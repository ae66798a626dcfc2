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
INSTALLED_APPS += ["django_prometheus", "mysite"]
MIDDLEWARE += [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates",
    "OPTIONS": {"loaders": [
        ("django.template.loaders.locmem.Loader", {"shop.html": "open", "desk.html": "closed"}),
    ]},
}]
DATABASES["default"]["ENGINE"] = "django_prometheus.db.backends.sqlite3"
DATABASES["archive"] = {**DATABASES["default"], "NAME": f"{DATABASES['default']['NAME']}.old"}
# A scrape reads counts there, which django-prometheus counts as queries.
DATABASES["counts"] = {**DATABASES["default"], "NAME": f"{DATABASES['default']['NAME']}.counts"}
DATABASE_ROUTERS = ["mysite.routers.CountsRouter"]
CACHES = {
    "default": {"BACKEND": "django_prometheus.cache.backends.locmem.LocMemCache"},
    "down": {
        "BACKEND": "django_prometheus.cache.backends.redis.NativeRedisCache",
        "LOCATION": "redis://127.0.0.1:1",
    },
}
PROMETHEUS_EXPORT_MIGRATIONS = False
PROMETHEUS_METRIC_NAMESPACE = "shop"
TACHIKOMA_METRICS["VIEWS"] = ["django-prometheus"]
# The cache that is down cannot tell its size.
TACHIKOMA_METRICS["DISABLED_METRICS"] = ["cache_size"]
TACHIKOMA_METRICS["EXTRA_METRICS"] = [
    "http_responses_by_template_total",
    "migrations_applied",
    "migrations_unapplied",
]
TACHIKOMA_METRICS["LABELS"] = {"http_requests_total": ["method"]}
"""

MODELS = """
from django.db import models
from django_prometheus.models import ExportModelOperationsMixin as Theirs
from tachikoma_metrics.compat.django_prometheus import ExportModelOperationsMixin as Ours


class Order(Theirs("theirs"), models.Model):
    number = models.IntegerField(default=0)


class Parcel(Ours("ours"), models.Model):
    number = models.IntegerField(default=0)
"""

ROUTERS = """
class CountsRouter:
    def db_for_read(self, model, **hints):
        return "counts" if model._meta.app_label == "tachikoma_metrics" else None

    db_for_write = db_for_read
"""

URLS = """
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache, caches
from django.core.exceptions import PermissionDenied
from django.db import DatabaseError, connection, connections
from django.http import Http404, HttpResponse, StreamingHttpResponse
from django.template.response import TemplateResponse
from django.urls import path

from mysite.models import Order, Parcel


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


def deny(request):
    raise PermissionDenied


def miss(request):
    raise Http404


def stream(request):
    return StreamingHttpResponse(iter([b"a" * 20, b"b" * 30]))


def templates(request, name):
    return TemplateResponse(request, [name] if "desk" in name else name)


def archive(request):
    archived = connections["archive"]
    with archived.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse("nothing there")


def lose(request):
    lost = connections.create_connection("archive")
    lost.settings_dict = {**lost.settings_dict, "NAME": "/no/such/folder/db"}
    try:
        lost.ensure_connection()
    except DatabaseError:
        return HttpResponse("lost")


def mistakes(request):
    for statement in (
        "INSERT INTO mysite_order (id, number) VALUES (1, NULL)",
        "SELECT * FROM no_such_table",
        "SELECT * FROM no_such_table",
    ):
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement)
        except DatabaseError:
            pass
    return HttpResponse("sorry")


def down(request):
    try:
        caches["down"].get("known")
    except Exception:
        return HttpResponse("down")


def rows(request):
    for model in (Order, Parcel):
        row = model.objects.create()
        row.save()
        row.save()
        row.delete()
    return HttpResponse("one of each")


urlpatterns = [
    path("deny/", deny, name="deny"),
    path("miss/", miss, name="miss"),
    path("stream/", stream, name="stream"),
    path("templates/<str:name>", templates, name="templates"),
    path("archive/", archive, name="archive"),
    path("lose/", lose, name="lose"),
    path("mistakes/", mistakes, name="mistakes"),
    path("down/", down, name="down"),
    path("rows/", rows, name="rows"),
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
from django_prometheus.migrations import ExportMigrations
from tachikoma_metrics import METRICS
from tachikoma_metrics.exposition.parse import parse_text

logging.disable()
call_command("migrate", verbosity=0, run_syncdb=True)
call_command("migrate", "tachikoma_metrics", database="counts", verbosity=0)
call_command("migrate", "auth", "0011", verbosity=0)
METRICS.reset()
for collector in set(REGISTRY._collector_to_names):
    if getattr(collector, "_name", "").startswith("shop_") and collector._labelnames:
        collector.clear()

ExportMigrations()
call_command("refresh_business_metrics", verbosity=0)

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
client.get("/deny/")
client.get("/miss/")
b"".join(client.get("/stream/"))
for name in ("shop.html", "desk.html", "shop.html"):
    client.get(f"/templates/{name}")
for path in ("archive", "lose", "mistakes", "down", "rows"):
    client.get(f"/{path}/")

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
    process = Project(home, SETTINGS, urls=URLS, models=MODELS, routers=ROUTERS).run_code(LOAD)
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
    return {
        (name, labels): value
        for (name, labels), value in found.items()
        if ("alias", "counts") not in labels
    }


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
    "django_db_errors_total",
    "django_db_new_connection_errors_total",
    "django_cache_get_hits_total",
    "django_cache_get_misses_total",
    "django_cache_get_fail_total",
    "django_migrations_unapplied_total",
    "django_migrations_applied_total",
]

ARCHIVE = {"alias": "archive", "vendor": "sqlite"}
DIFFERENT: dict[str, dict[tuple[tuple[str, str], ...], float]] = {
    # Http404 and PermissionDenied are responses.
    "django_http_exceptions_total_by_type_total": {
        (("type", "Http404"),): -1,
        (("type", "PermissionDenied"),): -1,
    },
    "django_http_exceptions_total_by_view_total": {
        (("view", "deny"),): -1,
        (("view", "miss"),): -1,
    },
    # The template that is rendered is counted, not the list that it was found by.
    "django_http_responses_total_by_templatename_total": {
        (("templatename", "desk.html"),): 1,
        (("templatename", "['desk.html']"),): -1,
    },
    # An attempt that failed opened nothing.
    "django_db_new_connections_total": {tuple(ARCHIVE.items()): -1},
    # A lookup that failed is neither a hit nor a miss.
    "django_cache_get_total": {(("backend", "native_redis"),): -1},
}
"""What the view counts more or less than django-prometheus, by metric and labels."""
BY_VIEW = "django_http_requests_latency_seconds_by_view_method"
RAISING = ["fail", "deny", "miss"]
WITHOUT_LENGTH = 22
BODIES = ["django_http_requests_body_total_bytes", "django_http_responses_body_total_bytes"]


def metric(name: str) -> DerivedMetric:
    return next(one for one in VIEW.metrics if one.name == name)


@pytest.mark.parametrize("name", EQUAL)
def test_the_view_counts_what_django_prometheus_counts(name: str, both: tuple[Samples, Samples]):
    theirs, ours = (counts(samples, metric(name)) for samples in both)

    assert theirs
    # Errors that have not happened are at 0 in ours alone.
    assert {key: value for key, value in ours.items() if value or key in theirs} == theirs


@pytest.mark.parametrize("name", DIFFERENT)
def test_the_view_differs_from_django_prometheus_as_documented(
    name: str, both: tuple[Samples, Samples]
):
    theirs, ours = (counts(samples, metric(name)) for samples in both)
    changes = {
        labels: ours.get((sample, labels), 0) - theirs.get((sample, labels), 0)
        for sample, labels in theirs.keys() | ours.keys()
    }

    assert {labels: change for labels, change in changes.items() if change} == DIFFERENT[name]
    assert metric(name).difference


def test_each_metric_of_the_view_is_compared():
    assert sorted([*EQUAL, *DIFFERENT, BY_VIEW, *BODIES]) == sorted(
        one.name for one in VIEW.metrics
    )


@pytest.mark.parametrize("operation", ["inserts", "updates", "deletes"])
def test_both_mixins_count_the_same(operation: str, both: tuple[Samples, Samples]):
    theirs, _ = both
    name = f"shop_django_model_{operation}_total"
    values = {model: theirs[name, (("model", model),)] for model in ("theirs", "ours")}

    assert values["theirs"] == values["ours"] > 0


@pytest.mark.parametrize("view", RAISING)
def test_a_request_whose_view_raised_has_one_duration_not_two(
    view: str, both: tuple[Samples, Samples]
):
    theirs, ours = (counts(samples, metric(BY_VIEW)) for samples in both)
    failed = (f"shop_{BY_VIEW}_count", (("method", "GET"), ("view", view)))

    assert (theirs[failed], ours[failed]) == (2, 1)


def test_other_durations_by_view_are_counted_as_by_django_prometheus(both: tuple[Samples, Samples]):
    theirs, ours = (
        {
            key: value
            for key, value in counts(samples, metric(BY_VIEW)).items()
            # It counts the method PURGE as such here, and as invalid elsewhere.
            if dict(key[1])["view"] not in RAISING and ("method", "GET") in key[1]
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


@pytest.mark.parametrize(
    ("name", "change"),
    [
        # Without requests that state no length.
        (f"{BODIES[0]}_count", -WITHOUT_LENGTH),
        (f"{BODIES[0]}_sum", 0),
        # With the streamed response.
        (f"{BODIES[1]}_count", 1),
        (f"{BODIES[1]}_sum", 50),
    ],
)
def test_bodies_have_the_same_bytes(name: str, change: float, both: tuple[Samples, Samples]):
    theirs, ours = (samples[f"shop_{name}", ()] for samples in both)

    assert ours - theirs == change


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
