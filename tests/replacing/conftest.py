from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import Project

SETTINGS = """
import warnings

# It counts the migrations while the apps are loaded.
warnings.filterwarnings("ignore", message="Accessing the database during app init")

INSTALLED_APPS = [*INSTALLED_APPS, "django_prometheus", "mysite"]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.common.CommonMiddleware",
    "mysite.labelled.Labelled",
]
DATABASES["default"]["ENGINE"] = "django_prometheus.db.backends.sqlite3"
DATABASES["default"]["PASSWORD"] = "a-secret"
CACHES = {"default": {"BACKEND": "django_prometheus.cache.backends.locmem.LocMemCache"}}
PROMETHEUS_EXPORT_MIGRATIONS = True
PROMETHEUS_METRIC_NAMESPACE = "shop"
TACHIKOMA_METRICS["TOKENS"] = ["a-secret-token-0000000000"]
"""

INSTALLED = """
MIDDLEWARE = ["tachikoma_metrics.middleware.MetricsMiddleware", *MIDDLEWARE]
TACHIKOMA_METRICS["VIEWS"] = ["django-prometheus"]
"""

MODELS = """
from django.db import models
from django_prometheus.models import ExportModelOperationsMixin


class Order(ExportModelOperationsMixin("order"), models.Model):
    number = models.IntegerField(default=0)
"""

LABELLED = """
from django_prometheus.middleware import PrometheusAfterMiddleware


class Labelled(PrometheusAfterMiddleware):
    pass
"""

WITH_ROUTE = """
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.db import connection
from django.http import HttpResponse
from django.urls import include, path


def hello(request):
    cache.set("known", 1)
    return HttpResponse(f"hello {cache.get('known')} {cache.get('unknown', 2)}")


def upload(request):
    return HttpResponse("x" * len(request.body))


def query(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return HttpResponse(str(ContentType.objects.filter(pk=0).exists()))


def fail(request):
    raise ValueError("failed on purpose")


urlpatterns = [
    path("prometheus/", include("django_prometheus.urls")),
    path("hello/", hello, name="hello"),
    path("upload/", upload),
    path("query/", query, name="query"),
    path("fail/", fail, name="fail"),
]
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Make a project that uses all of django-prometheus."""
    home: Path = tmp_path_factory.mktemp("incumbent") / "site"
    return Project(home, SETTINGS, urls=WITH_ROUTE, models=MODELS, labelled=LABELLED)
