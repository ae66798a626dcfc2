"""The app is made ready after others, and several times."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest
from django.test import Client, modify_settings, override_settings
from prometheus_client import REGISTRY, Counter, Gauge, Histogram, generate_latest

from tachikoma_metrics import METRICS
from tachikoma_metrics.testing import sample_value

REMOVED = {"remove": "django.contrib.staticfiles"}

EARLY = """
import sys, types
import django
from django.apps import AppConfig
from django.conf import settings

class EarlyConfig(AppConfig):
    name = "early"
    path = "/"
    def ready(self):
        from tachikoma_metrics import record_execution
        record_execution("openai", "gpt-5", "success", 1.5, (100, 20))

early = types.ModuleType("early")
early.EarlyConfig = EarlyConfig
sys.modules["early"] = early
settings.configure(
    INSTALLED_APPS=["early.EarlyConfig", "tachikoma_metrics"], TACHIKOMA_METRICS={"STORE_DIR": None}
)
django.setup()
from tachikoma_metrics.testing import sample_value
print(sample_value("executions_total", backend="openai", model="gpt-5", status="success"))
"""

OFF = """
import sys
import django
import httpx, requests
from django.conf import settings
urlpatterns = []
settings.configure(
    INSTALLED_APPS=["tachikoma_metrics"],
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["tachikoma_metrics.middleware.MetricsMiddleware"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    TACHIKOMA_METRICS={"ENABLED": False},
)
django.setup()
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.core.exceptions import MiddlewareNotUsed
from django.db import connections
from django.db.backends.sqlite3.base import DatabaseWrapper
from django.test import Client
from tachikoma_metrics.backends import instrument_client
from tachikoma_metrics.middleware import MetricsMiddleware

connections["default"].ensure_connection()
assert type(connections["default"].execute_wrappers) is list
assert type(connections["default"]) is DatabaseWrapper
assert type(caches["default"]) is LocMemCache
for kind in (httpx.Client, requests.Session):
    client = instrument_client(kind(), "backend")
    assert type(client) is kind
assert Client().get("/metrics").status_code == 404
try:
    MetricsMiddleware(print)
except MiddlewareNotUsed:
    print("left out")
"""

LAZY = """
import sys
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["tachikoma_metrics"],
    CACHES={
        "default": {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": "redis://127.0.0.1:1",
        }
    },
    TACHIKOMA_METRICS={"STORE_DIR": None},
)
django.setup()
from tachikoma_metrics import METRICS
METRICS.encode()
print("redis" in sys.modules)
"""


def printed(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


def test_an_app_may_record_before_this_one_is_ready():
    assert printed(EARLY).strip() == "1.0"


def test_instrumentation_that_is_switched_off_wraps_nothing():
    assert printed(OFF).strip() == "left out"


def test_the_library_of_a_cache_that_is_not_used_is_not_imported():
    assert printed(LAZY).strip() == "False"


@pytest.mark.parametrize("labels", [{}, {"LABELS": {"http_request_size_bytes": []}}])
def test_apps_may_be_made_ready_again(client: Client, labels: dict[str, object]):
    with override_settings(TACHIKOMA_METRICS=labels):
        client.get("/hello/")
        with modify_settings(INSTALLED_APPS=REMOVED):
            client.get("/hello/")
            exposition = METRICS.encode()

    assert 'http_requests_total{method="GET",path="/hello/",status="200"} 2.0' in exposition
    assert "tachikoma_metrics_errors_total{" not in exposition


def test_a_collector_is_registered_once_however_often_apps_are_ready():
    before = len(REGISTRY._collector_to_names)
    for _ in range(3):
        with modify_settings(INSTALLED_APPS=REMOVED):
            pass

    assert len(REGISTRY._collector_to_names) == before


# --- metrics that are made again ----------------------------------------------


@pytest.fixture
def _again() -> Iterator[None]:
    yield
    collector = REGISTRY._names_to_collectors.get("made_again")
    if collector is not None:
        REGISTRY.unregister(collector)


@pytest.mark.usefixtures("_again")
@pytest.mark.parametrize("is_kept", [True, False], ids=["kept", "dropped"])
def test_a_metric_that_is_made_again_begins_at_zero(is_kept: bool):
    kept = []
    for kind, change, name in (
        (Counter, "inc", "made_again_total"),
        (Gauge, "set", "made_again"),
        (Histogram, "observe", "made_again_sum"),
    ):
        first = kind("made_again", "A metric.")
        getattr(first, change)(5)
        REGISTRY.unregister(first)
        kept.append(first if is_kept else None)
        del first
        second = kind("made_again", "A metric.")

        assert REGISTRY.get_sample_value(name) == 0
        assert f"\n{name} 0.0\n" in generate_latest().decode()
        assert sample_value(name) == 0

        getattr(second, change)(1)
        assert REGISTRY.get_sample_value(name) == sample_value(name) == 1
        REGISTRY.unregister(second)


@pytest.mark.usefixtures("_again")
def test_a_label_set_that_is_made_again_begins_at_zero():
    first = Counter("made_again", "A metric.", ["kind"])
    first.labels("one").inc(5)
    REGISTRY.unregister(first)
    second = Counter("made_again", "A metric.", ["kind"])
    second.labels("one")

    assert REGISTRY.get_sample_value("made_again_total", {"kind": "one"}) == 0
    assert sample_value("made_again_total", kind="one") == 0
