"""What ``manage.py metrics_migrate --compare`` says of both packages, under the same load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client, override_settings
from prometheus_client import CollectorRegistry, Counter, Gauge

from tachikoma_metrics.replacing import comparisons
from tests.projects import Project
from tests.replacing.conftest import INSTALLED, SETTINGS, WITH_ROUTE

LOAD = """
import logging
from django.test import Client
logging.disable()
client = Client(raise_request_exception=False)
for _ in range(3):
    client.get("/hello/")
client.post("/upload/", b"x" * 10, content_type="text/plain")
client.get("/nowhere/")
client.get("/fail/")
"""

LABELLED = """
from django_prometheus.middleware import PrometheusAfterMiddleware


class Labelled(PrometheusAfterMiddleware):
    pass
"""


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Make a project in which two processes have answered requests, and both have counted."""
    home: Path = tmp_path_factory.mktemp("both") / "site"
    project = Project(
        home,
        f"{SETTINGS}{INSTALLED}PROMETHEUS_EXPORT_MIGRATIONS = False\n",
        urls=WITH_ROUTE,
        labelled=LABELLED,
    )
    for _ in range(2):
        process = project.run_code(LOAD)
        assert (process.returncode, process.stderr) == (0, "")
    return project


@pytest.fixture(scope="module")
def compared(both: Project) -> dict[str, dict[str, Any]]:
    process = both.run("metrics_migrate", "--compare", "--json")
    assert (process.returncode, process.stderr) == (0, "")
    return {one["metric"]: one for one in json.loads(process.stdout)}


@pytest.mark.parametrize(
    ("metric", "total"),
    [
        ("shop_django_http_requests_before_middlewares_total", 12),
        ("shop_django_http_requests_latency_including_middlewares_seconds", 12),
        ("shop_django_http_requests_total_by_method_total", 12),
        ("shop_django_http_responses_total_by_status_view_method_total", 12),
        ("shop_django_http_exceptions_total_by_type_total", 2),
        ("shop_django_cache_get_hits_total", 6),
    ],
)
def test_what_both_have_counted_in_all_processes_is_equal(
    metric: str, total: float, compared: dict[str, dict[str, Any]]
):
    found = compared[metric]

    assert (found["status"], found["replaced"], found["derived"]) == ("equal", total, total)
    assert found["differences"] == []


def test_a_difference_has_its_label_set_and_a_reason(compared: dict[str, dict[str, Any]]):
    found = compared["shop_django_http_requests_latency_seconds_by_view_method"]

    assert found["status"] == "different"
    assert found["differences"] == [
        {"labels": {"view": "fail", "method": "GET"}, "replaced": 4, "derived": 2}
    ]
    assert "once where the view raised" in found["reason"]


def test_what_neither_has_counted_is_unused(compared: dict[str, dict[str, Any]]):
    assert compared["shop_django_db_errors_total"]["status"] == "unused"


def test_every_metric_of_the_view_is_compared(both: Project):
    process = both.run("metrics_migrate", "--compare")

    lines = process.stdout.splitlines()
    assert "    equal  shop_django_http_requests_before_middlewares_total: 12" in lines
    assert '            {view="fail", method="GET"}: 4, 2' in lines
    assert lines[-2].startswith("Each may also differ by ")
    assert lines[-1].startswith("27 metrics: ")


def test_it_is_no_process_that_changes_the_counts(both: Project):
    texts = {both.run("metrics_migrate", "--compare").stdout for _ in range(2)}

    assert len(texts) == 1


REQUESTS = "django_http_requests_before_middlewares_total"
BY_METHOD = "django_http_requests_total_by_method_total"
TEMPLATES = "django_http_responses_total_by_templatename_total"


@override_settings(TACHIKOMA_METRICS={"VIEWS": ["django-prometheus"]})
def test_the_values_of_both_are_printed_with_the_reason(
    client: Client, registry: CollectorRegistry, capsys: pytest.CaptureFixture[str]
):
    Counter(REQUESTS, "Of django-prometheus.", registry=registry).inc(2)
    by_method = Counter(BY_METHOD, "Of it.", ["method", "tenant"], registry=registry)
    for tenant in ("blue", "red"):
        by_method.labels("GET", tenant).inc()
    for number in range(7):
        by_method.labels(f"M{number}", "blue").inc()
    Counter(TEMPLATES, "Of it.", ["templatename"], registry=registry).labels("a.html").inc()
    for _ in range(2):
        client.get("/hello/")

    call_command("metrics_migrate", "--compare", "--no-color")

    printed = capsys.readouterr().out
    assert f"    equal  {REQUESTS}: 2\n" in printed
    assert f"different  {BY_METHOD}: django-prometheus 9, view 2\n" in printed
    assert '            {method="M0"}: 1, 0\n' in printed
    assert '{method="GET"}' not in printed
    assert "            and 2 more\n" in printed
    assert 'Not derived: EXTRA_METRICS needs "http_responses_by_template_total".\n' in printed


def plan_of(request: Any) -> str:
    return "free"


@override_settings(
    TACHIKOMA_METRICS={
        "VIEWS": ["django-prometheus"],
        "EXTRA_LABELS": {"plan": f"{__name__}.plan_of"},
        "LABELS": {"http_requests_total": ["method", "path", "status", "plan"]},
    }
)
def test_a_label_that_only_the_view_has_is_no_difference(
    client: Client, registry: CollectorRegistry
):
    Counter(BY_METHOD, "Of it.", ["method"], registry=registry).labels("GET").inc()
    client.get("/hello/")

    (found,) = [one for one in comparisons() if one.metric == BY_METHOD]

    assert (found.status, found.replaced, found.derived) == ("equal", 1, 1)


@override_settings(
    TACHIKOMA_METRICS={
        "VIEWS": ["django-prometheus"],
        "EXTRA_METRICS": ["migrations_applied"],
        "DISABLED_METRICS": ["cache_hits_total"],
    }
)
def test_what_is_not_derived_has_its_own_reason(client: Client, registry: CollectorRegistry):
    Gauge("django_migrations_applied_total", "Of it.", ["connection"], registry=registry).labels(
        "default"
    ).set(3)
    Counter("django_cache_get_hits_total", "Of it.", ["backend"], registry=registry).labels(
        "locmem"
    ).inc()

    reasons = {one.metric: one.reason for one in comparisons()}

    assert "refresh_business_metrics" in reasons["django_migrations_applied_total"]
    assert reasons["django_cache_get_hits_total"] == (
        "Not derived: DISABLED_METRICS has 'cache_hits_total'."
    )


def test_without_the_view_nothing_is_compared():
    with pytest.raises(CommandError, match='VIEWS must have "django-prometheus"'):
        call_command("metrics_migrate", "--compare")


def test_without_values_it_says_where_to_run_it(tmp_path: Path):
    project = Project(tmp_path / "site", SETTINGS + INSTALLED, labelled=LABELLED)

    process = project.run("metrics_migrate", "--compare")

    assert process.returncode == 1
    assert "django-prometheus has counted no request in " in process.stderr
    assert f"{tmp_path}/site/store" in process.stderr


@override_settings(TACHIKOMA_METRICS={"ENABLED": False, "VIEWS": ["django-prometheus"]})
def test_nothing_is_compared_if_metrics_are_disabled():
    with pytest.raises(CommandError, match="ENABLED is False"):
        call_command("metrics_migrate", "--compare")


def test_with_the_multi_process_mode_both_are_compared(tmp_path: Path):
    project = Project(
        tmp_path / "site",
        f"{SETTINGS}{INSTALLED}PROMETHEUS_EXPORT_MIGRATIONS = False\n",
        urls=WITH_ROUTE,
        labelled=LABELLED,
    )
    (tmp_path / "values").mkdir()
    setup = (
        f"import os; os.environ['PROMETHEUS_MULTIPROC_DIR'] = {str(tmp_path / 'values')!r}; "
        "import django; django.setup()"
    )
    process = project.run_code(LOAD, setup=setup)
    assert (process.returncode, process.stderr) == (0, "")

    lines = project.run("metrics_migrate", "--compare").stdout.splitlines()

    assert "    equal  shop_django_http_requests_before_middlewares_total: 6" in lines
