"""The rules of ``metrics_rules --views`` in a real Prometheus, beside the views themselves."""

from __future__ import annotations

import http.server
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.monitoring.test_view_rules import EVERY_LABEL
from tests.projects import Project
from tests.services.processes import eventually, program
from tests.services.prometheus import PROMETHEUSES, Prometheus, Promtool, running_prometheus

BOUNDS = [
    *(0.001, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1, 2.5, 5, 7.5, 10, 25, 50, 75),
]

SETTINGS = f"""
import os

PROMETHEUS_METRIC_NAMESPACE = "old"
DATABASES["second"] = {{**DATABASES["default"]}}
CACHES = {{"default": {{"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}}}
TACHIKOMA_METRICS |= {EVERY_LABEL!r}
TACHIKOMA_METRICS["BUCKETS"] = dict.fromkeys(
    ["http_request_duration_seconds", "db_query_duration_seconds"], {BOUNDS!r}
)
TACHIKOMA_METRICS["GLOBAL_LABELS"] = {{"region": "north"}}
TACHIKOMA_METRICS["NAMESPACE"] = "shop"
if os.environ.get("HOME", "").endswith("/with-views"):
    TACHIKOMA_METRICS["VIEWS"] = ["django-prometheus", "opentelemetry"]
"""

URLS = """
from django.core.cache import cache
from django.db import connections
from django.http import HttpResponse
from django.urls import path


def hello(request, pk):
    cache.set("known", 1)
    return HttpResponse(f"hello {cache.get('known')} {cache.get('unknown', 2)}")


def query(request):
    for alias in connections:
        with connections[alias].cursor() as cursor:
            cursor.execute("SELECT 1")
            cursor.execute("PRAGMA user_version")
    return HttpResponse("x" * len(request.body))


def fail(request):
    raise ValueError("failed on purpose")


urlpatterns = [
    path("hello/<int:pk>/", hello, name="hello"),
    path("query/", query),
    path("fail/", fail, name="fail"),
]
"""

LOAD = """
import logging
from django.test import Client
from tachikoma_metrics import METRICS

logging.disable()
client = Client(raise_request_exception=False)
for number in range(3):
    client.get(f"/hello/{number}/", secure=number == 2)
    client.post("/query/", b"x" * 5000, content_type="text/plain")
client.generic("PURGE", "/hello/1/")
client.get("/nowhere/")
client.get("/fail/")
print(METRICS.encode())
"""

CONFIGURATION = """
global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [rules.yml]
scrape_configs:
  - job_name: shop
    static_configs:
      - targets: ["127.0.0.1:{port}"]
    metric_relabel_configs:
      - source_labels: [__name__]
        regex: (old_django|http_server|db_client)_(.*)
        target_label: __name__
        replacement: view_${{1}}_$2
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project(tmp_path_factory.mktemp("views") / "site", SETTINGS, urls=URLS)


@pytest.fixture(scope="module")
def rules(project: Project) -> str:
    made = project.run("metrics_rules", "--views", "django-prometheus,opentelemetry", "-v", "2")
    assert made.returncode == 0, made.stderr
    assert "_bucket: the bounds" not in made.stderr
    return made.stdout


@pytest.fixture(scope="module")
def endpoint(project: Project) -> Iterator[int]:
    """Serve what the endpoint of a project with both views has exposed; return the port."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "HOME", "/nowhere/with-views")
        process = project.run_code(LOAD)
    assert process.returncode == 0, process.stderr
    page = process.stdout.encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_promtool_accepts_the_rules(each_promtool: Promtool, rules: str):
    (each_promtool.folder / "rules.yml").write_text(rules)

    checked = each_promtool.run("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")

    assert (checked.returncode, checked.stderr) == (0, "")


def series(prometheus: Prometheus, prefix: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Return the series whose names have a prefix, by their labels, without that prefix."""
    selector = f'{{__name__=~"{prefix}(old_django|http_server|db_client)_.*"}}'
    return {
        tuple((label, value.removeprefix(prefix)) for label, value in sorted(labels.items())): value
        for labels, value in (
            (one["metric"], float(one["value"][1])) for one in prometheus.query(selector)
        )
    }


@pytest.mark.parametrize("name", PROMETHEUSES)
def test_the_rules_record_what_the_views_expose(
    name: str, rules: str, endpoint: int, tmp_path: Path
):
    program(name)
    (tmp_path / "rules.yml").write_text(rules)

    with running_prometheus(name, CONFIGURATION.format(port=endpoint), tmp_path) as prometheus:
        eventually(lambda: len(series(prometheus, "")) >= len(series(prometheus, "view_")) > 0)
        recorded, exposed = series(prometheus, ""), series(prometheus, "view_")

    assert {label for key in recorded for label, _ in key} >= {"instance", "job", "region"}
    assert len({dict(key)["__name__"] for key in recorded}) > 25
    assert recorded == exposed
