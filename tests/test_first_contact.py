"""Mistakes of a new user: check, the log or the doctor reports them, with what to do."""

from __future__ import annotations

import ast
import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import caches
from django.core.management import CommandError, call_command
from django.test import Client, override_settings

from tachikoma_metrics.testing import sample_value
from tests.projects import Project

MakeProject = Callable[..., Project]


@pytest.fixture
def project(tmp_path: Path) -> MakeProject:
    """Return what makes a project whose settings end in what is given."""
    return lambda settings="", **files: Project(tmp_path / "project", settings, **files)


# --- what check says ----------------------------------------------------------


def test_a_settings_module_may_import_the_package(project: MakeProject):
    assert "W024" not in project("\nimport tachikoma_metrics\n").run("check").stderr


def test_a_setting_in_lower_case_is_a_warning(project: MakeProject):
    done = project('\ndel TACHIKOMA_METRICS\ntachikoma_metrics = {"NAMESPACE": "shop"}\n').run(
        "check"
    )

    assert "'tachikoma_metrics' has no effect" in done.stderr


# --- what a process of its own says ---------------------------------------------


def test_an_app_that_is_not_installed_is_logged(project: MakeProject):
    made = project("\nINSTALLED_APPS = []\n")

    done = made.run_code(
        "from django.test import Client\n"
        "client = Client()\n"
        "print(client.get('/metrics').status_code, Client().get('/nowhere').status_code)"
    )

    assert done.stdout == "200 404\n"
    assert done.stderr.count('`INSTALLED_APPS` must contain "tachikoma_metrics"') == 1
    assert "Traceback" not in done.stderr


ROUTE = (
    "from django.urls import include, path\n"
    'urlpatterns = [path("metrics", include("tachikoma_metrics.urls"))]\n'
)
SCRAPE_TWICE = (
    "from django.test import Client\n"
    "print(*[Client().get('/metrics').status_code for _ in range(2)])"
)


def test_a_route_without_app_and_middleware_is_logged(project: MakeProject):
    made = project("\nINSTALLED_APPS = []\nMIDDLEWARE = []\n", urls=ROUTE)

    done = made.run_code(SCRAPE_TWICE)

    assert done.stdout == "200 200\n"
    assert done.stderr.count('`INSTALLED_APPS` must contain "tachikoma_metrics"') == 1
    assert "Traceback" not in done.stderr


def test_a_route_without_middleware_logs_invalid_settings(project: MakeProject):
    settings = '\nMIDDLEWARE = []\nTACHIKOMA_METRICS["NAMESPACE"] = "my-shop"\n'

    done = project(settings, urls=ROUTE).run_code(SCRAPE_TWICE)

    assert done.stdout == "200 200\n"
    assert done.stderr.count("Invalid NAMESPACE: 'my-shop'") == 1


def test_check_reports_an_unknown_key_once(project: MakeProject):
    done = project('\nTACHIKOMA_METRICS["NAMESPCE"] = "shop"\n').run("check")

    assert done.returncode == 1
    assert done.stderr.count("NAMESPCE") == 1
    assert "Did you mean 'NAMESPACE'?" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_creates_no_store(project: MakeProject):
    made = project('\nTACHIKOMA_METRICS["NAMESPCE"] = "shop"\n')

    made.run("check")

    assert not (made.home / "store").exists()


def test_a_server_logs_invalid_settings(caplog: pytest.LogCaptureFixture):
    declared = {"NAMESPACE": "my-shop", "ALLOWED_NETWORKS": ["nowhere"]}
    with override_settings(TACHIKOMA_METRICS=declared):
        Client().get("/hello/")
        Client().get("/hello/")

    (one, other) = sorted(caplog.messages)
    assert one.startswith("Invalid setting (tachikoma_metrics.E107): Invalid NAMESPACE: 'my-shop'.")
    assert one.endswith(' Example: "NAMESPACE": "shop"')
    assert "Using the default." in one
    assert "The metrics endpoint answers 403 until this is fixed." in other
    assert not any(record.exc_info for record in caplog.records)


MISSING = '\nTACHIKOMA_METRICS["BUSINESS_METRICS"] = {"users": {"model": "auth.User"}}\n'


def test_check_reports_a_missing_migration(project: MakeProject):
    made = project(MISSING)

    before = made.run("check", "--database", "default")
    migrating = made.run("migrate", "--verbosity", "0")
    after = made.run("check", "--database", "default")

    assert "W023" in before.stderr
    assert "HINT: Run `manage.py migrate`." in before.stderr
    assert migrating.stderr == ""
    assert "W023" not in after.stderr


def test_a_refresh_reports_a_missing_migration(project: MakeProject):
    done = project(MISSING).run("refresh_business_metrics")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "lacks the table for the business metrics: run `manage.py migrate`" in line


def test_the_doctor_reports_a_missing_migration(project: MakeProject):
    done = project(MISSING).run("metrics_doctor")

    assert done.returncode == 1
    assert "error  business-metrics: The database lacks the table for the business" in done.stdout
    assert "Run `manage.py migrate`." in done.stdout
    assert "Traceback" not in done.stderr


def test_a_missing_migration_is_one_line_of_the_log(project: MakeProject):
    done = project(MISSING).run_code(
        "from django.test import Client\nfor _ in range(2): Client().get('/metrics')"
    )

    (line,) = done.stderr.splitlines()
    assert "run `manage.py migrate`" in line


def test_after_a_migration_nothing_is_left_to_migrate(project: MakeProject):
    made = project()

    made.run("migrate", "--verbosity", "0")

    assert made.run("migrate", "--check").returncode == 0
    assert made.run("makemigrations", "--check", "--dry-run").returncode == 0


@pytest.mark.django_db
def test_the_only_permission_is_to_view_the_live_page():
    found = Permission.objects.filter(content_type__app_label="tachikoma_metrics")

    assert [one.codename for one in found] == ["view_live"]


def test_the_doctor_warns_if_no_server_is_running(project: MakeProject):
    made = project()

    done = made.run("metrics_doctor", "--json")

    findings = {one["check"]: one for one in json.loads(done.stdout)}
    assert findings["processes"]["status"] == "warning"
    assert "Start the server." in findings["processes"]["hint"]


# --- WebSockets -------------------------------------------------------------------

CHANNELS = """
from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import AllowedHostsOriginValidator
from django.core.asgi import get_asgi_application
from mysite import routing

raise SystemExit("nothing is to import this")
application = ProtocolTypeRouter(
    {"http": get_asgi_application(), "websocket": AllowedHostsOriginValidator(URLRouter([]))}
)
"""
WRAPPED = CHANNELS.replace("ProtocolTypeRouter(\n", "Wrapper(ProtocolTypeRouter(\n") + (
    ")\nfrom tachikoma_metrics.asgi import WebSocketMetricsMiddleware as Wrapper\n"
)
IN_ROUTING = "from tachikoma_metrics import asgi\nroutes = asgi.WebSocketMetricsMiddleware(None)\n"
RAW = """
async def application(scope, receive, send):
    if scope["type"] == "websocket":
        await chat(scope, receive, send)
"""
PLAIN = "from django.core.asgi import get_asgi_application\napplication = get_asgi_application()\n"
UNUSED = "from tachikoma_metrics.asgi import WebSocketMetricsMiddleware\n" + CHANNELS


@pytest.mark.parametrize(
    ("asgi", "routing", "is_reported"),
    [
        (CHANNELS, "", True),
        (UNUSED, "", True),
        (RAW, "", True),
        ("from mysite.routing import application\n", CHANNELS, True),
        ("from .routing import application\n", CHANNELS, True),
        (WRAPPED.replace("))\n", ")\n"), "", False),
        (CHANNELS, IN_ROUTING, False),
        (PLAIN, "", False),
        ("this is no Python", "", False),
    ],
)
def test_websockets_without_middleware_are_a_warning(
    project: MakeProject, asgi: str, routing: str, is_reported: bool
):
    settings = '\nASGI_APPLICATION = "mysite.asgi.application"\n'

    done = project(settings, asgi=asgi, routing=routing).run("check")

    assert done.returncode == 0
    assert ("W025" in done.stderr) is is_reported
    assert ("WebSocketMetricsMiddleware(ProtocolTypeRouter" in done.stderr) is is_reported


def test_the_default_module_of_an_asgi_application_is_checked(project: MakeProject):
    assert "W025" in project(asgi=CHANNELS).run("check").stderr


# --- commands -----------------------------------------------------------------------


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "often"])
def test_an_invalid_interval_is_rejected(seconds: str):
    with pytest.raises(CommandError, match="must be a positive number of seconds") as caught:
        call_command("refresh_business_metrics", "--every", seconds)

    assert "_seconds value" not in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "bound", "which"), [("0.3", "0.5 s", "the next"), ("60", "10 s", "the highest")]
)
def test_a_threshold_that_is_no_bucket_is_a_warning(
    seconds: str, bound: str, which: str, capsys: pytest.CaptureFixture[str]
):
    call_command("metrics_rules", "--slow-after", seconds)

    printed = capsys.readouterr().err
    assert f"more than {bound} count as slow, {which} bound" in printed
    assert "LATENCY_BUCKETS" in printed


def test_the_meaning_of_a_job_is_noted(capsys: pytest.CaptureFixture[str]):
    call_command("metrics_rules", "--job", "nope")

    assert "job='nope' only, which must be a `job_name`" in capsys.readouterr().err


def test_what_a_dashboard_leaves_out_does_not_look_like_an_error(
    capsys: pytest.CaptureFixture[str],
):
    call_command("metrics_dashboard", force_color=True)

    printed = capsys.readouterr().err
    assert printed.startswith("Omitted ")
    assert "\x1b" not in printed


# --- what does not answer -------------------------------------------------------------

UNREACHABLE = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "sessions": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    },
}


@override_settings(CACHES=UNREACHABLE)
def test_a_cache_that_does_not_respond_is_one_error_and_one_line(
    caplog: pytest.LogCaptureFixture,
):
    # Sizes are asked for once a service looks things up.
    caches["default"].get("any")
    for _ in range(3):
        Client().get("/metrics")

    assert sample_value("tachikoma_metrics_errors_total", source="cache") == 1
    (record,) = (one for one in caplog.records if one.name == "tachikoma_metrics")
    assert record.levelno == logging.ERROR
    assert "'sessions'" in record.getMessage()
    assert record.exc_info is None


def test_the_sources_of_the_examples_are_python():
    for source in (CHANNELS, RAW, PLAIN, UNUSED, WRAPPED.replace("))\n", ")\n")):
        ast.parse(source)
