"""The mistakes that everybody makes once: check, the log or the doctor says what to do."""

from __future__ import annotations

import ast
import json
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.core.cache import caches
from django.core.checks import CheckMessage
from django.core.management import CommandError, call_command
from django.http import HttpResponse
from django.test import Client, override_settings
from django.urls import include, path
from django.views.decorators.cache import never_cache

from tachikoma_metrics import checks, views
from tachikoma_metrics.testing import sample_value
from tests.conftest import found
from tests.projects import Project

MakeProject = Callable[..., Project]
OURS, OTHER = checks.MIDDLEWARE, "django.middleware.common.CommonMiddleware"


@pytest.fixture
def project(tmp_path: Path) -> MakeProject:
    """Return what makes a project whose settings end in what is given."""
    return lambda settings="", **files: Project(tmp_path / "project", settings, **files)


_UNSET = object()


def message(id: str, declared: object = _UNSET, **settings: Any) -> CheckMessage:
    if declared is not _UNSET:
        settings["TACHIKOMA_METRICS"] = declared
    with override_settings(**settings):
        return found()[id]


# --- what check says ----------------------------------------------------------

SPEC = "missions.Spec"
IN_SETTINGS: list[tuple[str, dict[str, Any], str, str]] = [
    ("E002", {"NAMESPCE": "shop"}, "Unknown key 'NAMESPCE'", "Did you mean `NAMESPACE`?"),
    ("E107", {"NAMESPACE": "my-shop"}, "'my-shop'", "letters, digits and underscores"),
    ("E102", {"PATH": "metrics"}, "'metrics'", '"/metrics"'),
    (
        "E124",
        {"ALLOWED_NETWORKS": ["private", "10.0.0.1/8"]},
        "`ALLOWED_NETWORKS[1]`",
        "10.0.0.0/8",
    ),
    ("E127", {"WORKER_PORT": "9100"}, "'9100'", "1 to 65535"),
    ("E105", {"LATENCY_BUCKETS": [1, 0.5]}, "sorted", "Sort it"),
    ("E108", {"BUCKETS": {"http_request_size_bytes": [2, 1]}}, '["http_request_size_bytes"]', ""),
    ("E109", {"LABELS": {"http_requests_total": "path"}}, 'S["http_requests_total"]`', "method"),
    ("E003", {"BUCKETS": {"http_requests_total": [1]}}, "", "is a counter, which has no buckets"),
    ("E004", {"LABELS": {"http_requests_total": ["tenant"]}}, "", "Or define it in `EXTRA_LABELS`"),
    (
        "E006",
        {"EXTRA_LABELS": {"a": "nowhere.at.all"}},
        "cannot be imported: No module",
        "function",
    ),
    ("E013", {"PERMISSION": "nowhere.at.all"}, "cannot be imported: No", "function"),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "User"}}}, "got 'User'", 'Write "auth.User"'),
    (
        "E011",
        {"BUSINESS_METRICS": {"u": {"model": "django.contrib.auth.models.User"}}},
        "as `app.Model`",
        'Write "auth.User"',
    ),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "auth.models.User"}}}, "`u`", '"auth.User"'),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "shop.user"}}}, "`u`", 'Write "auth.User"'),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "auth.Usr"}}}, "`u`", '"auth.User"?'),
    ("E011", {"BUSINESS_METRICS": {"u": {"model": "Nothing"}}}, "'Nothing'", '"auth.User"'),
    (
        "E011",
        {"BUSINESS_METRICS": {"u": {"model": SPEC, "labels": {"state": "stat"}}}},
        "status",
        "Name fields",
    ),
    ("E001", None, "got None.", "Write it like"),  # type: ignore[list-item]
    ("E113", {"EXCLUDE_PATHS": ["^/a$", "("]}, "`EXCLUDE_PATHS[1]`", "unterminated subpattern"),
    ("E008", {"LABELS": {"tachikoma_metrics_info": []}}, "'tachikoma", "cannot be changed"),
    ("E120", {"BUSINESS_METRICS": {"u": {"callable": len}}}, "dotted path", '"shop.metrics.open_'),
    (
        "E120",
        {"BUSINESS_METRICS": {"u": {"callable": "a.b", "labels": {"status": "x"}}}},
        "a list of label names",
        '["status"]',
    ),
    ("W022", {"TOKENS": ["Bearer s3cr3t-token-00000000"]}, "1 of 1", "not part of the token"),
    ("E120", {"BUSINESS_METRICS": {"u": "auth.User"}}, '`BUSINESS_METRICS["u"]`', '{"model": '),
    ("E120", {"BUSINESS_METRICS": {"u": {"modle": SPEC}}}, "'modle'", "`model`"),
    (
        "E120",
        {"BUSINESS_METRICS": {"u": {"model": SPEC, "labels": ["status"]}}},
        '`BUSINESS_METRICS["u"]["labels"]`',
        '{"status": "status"}',
    ),
]


@pytest.mark.parametrize(("id", "declared", "says", "remedy"), IN_SETTINGS)
def test_a_mistake_in_a_setting_is_told_with_its_remedy(
    id: str, declared: object, says: str, remedy: str
):
    told = message(id, declared)

    assert says in told.msg
    assert remedy in (told.hint or "")


@pytest.mark.parametrize(("id", "declared", "says", "remedy"), IN_SETTINGS)
def test_no_message_speaks_of_the_insides_of_python(
    id: str, declared: object, says: str, remedy: str
):
    told = message(id, declared)

    for internal in ("unpack", "NoneType", "object has no attribute", "Traceback", "<class"):
        assert internal not in f"{told.msg} {told.hint}"


@pytest.mark.parametrize(
    "name",
    [
        "TACHIKOMA_METRIC",
        "TACHIKOMA_METRICS_NAMESPACE",
        "TACHIKOMA_METRICS_TOKEN",
        "TACHICOMA_METRICS",
        "TACHIKOMAMETRICS",
    ],
)
def test_a_setting_of_nearly_the_right_name_is_pointed_out(name: str):
    told = message("W024", **{name: {"NAMESPACE": "shop"}})

    assert f"`{name}` has no effect" in told.msg
    assert "TACHIKOMA_METRICS" in (told.hint or "")


def test_settings_of_the_project_of_that_name_are_none_of_ours():
    with override_settings(TACHIKOMA_URL="https://example.com", TACHIKOMA={}):
        assert found() == {}


def test_a_name_that_helps_to_write_the_settings_is_fine():
    with override_settings(
        TACHIKOMA_METRICS_TOKEN="t" * 20, TACHIKOMA_METRICS={"TOKENS": ["t" * 20]}
    ):
        assert found() == {}


def test_a_settings_module_may_import_the_package(project: MakeProject):
    assert "W024" not in project("\nimport tachikoma_metrics\n").run("check").stderr


def test_a_name_in_small_letters_is_pointed_out(project: MakeProject):
    done = project('\ndel TACHIKOMA_METRICS\ntachikoma_metrics = {"NAMESPACE": "shop"}\n').run(
        "check"
    )

    assert "`tachikoma_metrics` has no effect" in done.stderr


@pytest.mark.parametrize(
    "path", ["tachikoma_metrics.MetricsMiddleware", "tachikoma-metrics.middleware.X"]
)
def test_a_middleware_that_cannot_be_imported_is_called_that(path: str):
    told = message("W001", MIDDLEWARE=[path, OTHER])

    assert f"{path!r}, which cannot be imported" in told.msg
    assert OURS in (told.hint or "")


@pytest.mark.parametrize(
    ("middleware", "id"),
    [([OTHER], "W001"), ([OTHER, OURS], "W002"), ([OURS, OTHER, OURS], "W006")],
)
def test_a_middleware_in_the_wrong_place_is_told(middleware: list[str], id: str):
    assert message(id, MIDDLEWARE=middleware).hint


# --- the page that nothing serves ---------------------------------------------


def _their_view(request: object) -> HttpResponse:
    return HttpResponse("theirs")


OWN_ROUTE = [path("internal/", include([path("metrics", views.metrics)]))]
WRAPPED_ROUTE = [path("metrics", never_cache(views.metrics))]
THEIR_ROUTE = [path("metrics", _their_view, name="prometheus-django-metrics")]


@pytest.fixture
def route(monkeypatch: pytest.MonkeyPatch, settings: Any) -> Callable[..., None]:
    """Return what gives the project a URLconf of these patterns."""

    def set_(patterns: list[Any]) -> None:
        module = ModuleType(f"urls_of_{len(patterns)}_{id(patterns)}")
        module.urlpatterns = patterns  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, module.__name__, module)
        settings.ROOT_URLCONF = module.__name__

    return set_


def test_a_page_without_path_and_route_is_pointed_out(route: Callable[..., None]):
    route([])

    told = message("W020", {"PATH": None})

    assert "nothing serves the metrics" in told.msg
    assert 'include("tachikoma_metrics.urls")' in (told.hint or "")


@pytest.mark.parametrize(
    ("declared", "patterns"),
    [
        ({"PATH": None}, OWN_ROUTE),
        ({"PATH": None}, WRAPPED_ROUTE),
        ({"PATH": None, "WORKER_PORT": 9100}, []),
        ({}, []),
    ],
)
def test_a_page_that_something_serves_is_fine(
    route: Callable[..., None], declared: object, patterns: list[Any]
):
    route(patterns)

    with override_settings(TACHIKOMA_METRICS=declared):
        assert found() == {}


def test_the_route_of_django_prometheus_is_to_be_removed(route: Callable[..., None]):
    route(THEIR_ROUTE)

    assert 'Remove `include("django_prometheus.urls")`' in (message("W003").hint or "")


# --- tokens and networks --------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_file_that_gives_no_token_is_pointed_out(tmp_path: Path, content: bytes | None):
    file = tmp_path / "token"
    if content is not None:
        file.write_bytes(content)

    told = message("W021", {"TOKENS": [f"file:{file}"]})

    assert str(file) in told.msg
    assert "readable" in (told.hint or "")


@pytest.mark.parametrize(
    "token", [" spaced-token-00000000", "two words-00000000000", "tökén-of-umlauts-000", "a\tb" * 9]
)
def test_a_token_that_never_arrives_is_pointed_out_and_not_shown(token: str):
    told = message("W022", {"TOKENS": [token, "one-that-is-fine-0000000"]})

    assert "1 of 2" in told.msg
    assert token not in f"{told.msg} {told.hint}"


def test_tokens_of_a_file_can_be_bad_too(tmp_path: Path):
    (tmp_path / "token").write_text("tökén-of-umlauts-000\n", encoding="utf-8")

    assert "1 of 1" in message("W022", {"TOKENS": [f"file:{tmp_path}/token"]}).msg


@pytest.mark.parametrize(
    "token", ["s3cr3t-token-00000000", "a.b_c~d+e/f==0000000000", "a!b#c:d$ef0000"]
)
def test_a_token_that_arrives_is_fine(token: str):
    with override_settings(TACHIKOMA_METRICS={"TOKENS": [token]}):
        assert found() == {}


@pytest.mark.parametrize(
    "networks",
    [
        ["*"],
        ["0.0.0.0/0"],
        ["::/0"],
        ["private", "0.0.0.0/0", "::/0"],
        ["0.0.0.0/1", "128.0.0.0/1"],
        ["2000::/3"],
        ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/1"],
        ["unix:X-Forwarded-For", "0.0.0.0/0"],
    ],
)
def test_a_page_that_is_open_to_all_is_pointed_out_before_deploying(networks: list[str]):
    with override_settings(TACHIKOMA_METRICS={"ALLOWED_NETWORKS": networks}):
        assert [one.id for one in checks.check_page_is_not_open()] == ["tachikoma_metrics.W012"]


@pytest.mark.parametrize(
    "declared",
    [
        {"ALLOWED_NETWORKS": ["0.0.0.0/0"], "TOKENS": ["s3cr3t-token-00000000"]},
        {"ALLOWED_NETWORKS": ["private", "100.64.0.0/10", "8.0.0.0/8", "fc00::/7"]},
        {"ALLOWED_NETWORKS": ["unix:X-Forwarded-For"]},
        {"ALLOWED_NETWORKS": ["unix:X-Forwarded-For", "private", "10.1.0.0/16"]},
        {},
    ],
)
def test_a_page_that_is_not_open_is_fine(declared: object):
    with override_settings(TACHIKOMA_METRICS=declared):
        assert checks.check_page_is_not_open() == []


# --- what a process of its own says ---------------------------------------------


def test_a_forgotten_app_is_told_in_the_log(project: MakeProject):
    made = project("\nINSTALLED_APPS = []\n")

    done = made.run_code(
        "from django.test import Client\n"
        "client = Client()\n"
        "print(client.get('/metrics').status_code, Client().get('/nowhere').status_code)"
    )

    assert done.stdout == "200 404\n"
    assert done.stderr.count('`INSTALLED_APPS` must contain "tachikoma_metrics"') == 1
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_told_once_by_check(project: MakeProject):
    done = project('\nTACHIKOMA_METRICS["NAMESPCE"] = "shop"\n').run("check")

    assert done.returncode == 1
    assert done.stderr.count("NAMESPCE") == 1
    assert "Did you mean `NAMESPACE`?" in done.stderr
    assert "Traceback" not in done.stderr


def test_check_makes_no_store(project: MakeProject):
    made = project('\nTACHIKOMA_METRICS["NAMESPCE"] = "shop"\n')

    made.run("check")

    assert not (made.home / "store").exists()


def test_a_wrong_setting_is_told_in_the_log_of_a_server(caplog: pytest.LogCaptureFixture):
    declared = {"NAMESPACE": "my-shop", "ALLOWED_NETWORKS": ["nowhere"]}
    with override_settings(TACHIKOMA_METRICS=declared):
        Client().get("/hello/")
        Client().get("/hello/")

    (one, other) = sorted(caplog.messages)
    assert one.startswith("Invalid setting (tachikoma_metrics.E107): `NAMESPACE` should be")
    assert one.endswith("The default is used instead.")
    assert other.endswith("Until then, the metrics endpoint answers 403.")
    assert not any(record.exc_info for record in caplog.records)


MISSING = '\nTACHIKOMA_METRICS["BUSINESS_METRICS"] = {"users": {"model": "auth.User"}}\n'


def test_a_forgotten_migration_is_told_by_check(project: MakeProject):
    made = project(MISSING)

    before = made.run("check", "--database", "default")
    migrating = made.run("migrate", "--verbosity", "0")
    after = made.run("check", "--database", "default")

    assert "W023" in before.stderr
    assert "HINT: Run `manage.py migrate`." in before.stderr
    assert migrating.stderr == ""
    assert "W023" not in after.stderr


def test_a_forgotten_migration_is_told_by_the_refresh(project: MakeProject):
    done = project(MISSING).run("refresh_business_metrics")

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert "lacks the table for the business metrics: run `manage.py migrate`" in line


def test_a_forgotten_migration_is_told_by_the_doctor(project: MakeProject):
    done = project(MISSING).run("metrics_doctor")

    assert done.returncode == 1
    assert "wrong  business: The database has no table for the business metrics." in done.stdout
    assert "Run `manage.py migrate`." in done.stdout
    assert "Traceback" not in done.stderr


def test_a_forgotten_migration_is_one_line_of_the_log(project: MakeProject):
    done = project(MISSING).run_code(
        "from django.test import Client\nfor _ in range(2): Client().get('/metrics')"
    )

    (line,) = done.stderr.splitlines()
    assert "run `manage.py migrate`" in line


def test_after_migrating_nothing_is_left_to_migrate(project: MakeProject):
    made = project()

    made.run("migrate", "--verbosity", "0")

    assert made.run("migrate", "--check").returncode == 0
    assert made.run("makemigrations", "--check", "--dry-run").returncode == 0


@pytest.mark.django_db
def test_the_table_of_the_snapshot_asks_for_no_permissions():
    assert not Permission.objects.filter(content_type__app_label="tachikoma_metrics").exists()


def test_the_doctor_of_a_service_without_a_server_says_so(project: MakeProject):
    made = project()

    done = made.run("metrics_doctor", "--json")

    findings = {one["about"]: one for one in json.loads(done.stdout)["findings"]}
    assert findings["processes"]["state"] == "look"
    assert "Start the server." in findings["processes"]["remedy"]


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
    ("asgi", "routing", "is_told"),
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
def test_websockets_that_nothing_wraps_are_pointed_out(
    project: MakeProject, asgi: str, routing: str, is_told: bool
):
    settings = '\nASGI_APPLICATION = "mysite.asgi.application"\n'

    done = project(settings, asgi=asgi, routing=routing).run("check")

    assert done.returncode == 0
    assert ("W025" in done.stderr) is is_told
    assert ("WebSocketMetricsMiddleware(ProtocolTypeRouter" in done.stderr) is is_told


def test_the_usual_place_of_an_asgi_application_is_known(project: MakeProject):
    assert "W025" in project(asgi=CHANNELS).run("check").stderr


# --- commands -----------------------------------------------------------------------


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "often"])
def test_an_interval_that_is_none_is_told_plainly(seconds: str):
    with pytest.raises(CommandError, match="should be a positive number of seconds") as caught:
        call_command("refresh_business_metrics", "--every", seconds)

    assert "_seconds value" not in str(caught.value)


@pytest.mark.parametrize(
    ("seconds", "bound", "which"), [("0.3", "0.5 s", "the next"), ("60", "10 s", "the highest")]
)
def test_a_limit_that_is_moved_is_warned_of(
    seconds: str, bound: str, which: str, capsys: pytest.CaptureFixture[str]
):
    call_command("metrics_rules", "--slow-after", seconds)

    told = capsys.readouterr().err
    assert f"more than {bound}, {which} bound" in told
    assert "LATENCY_BUCKETS" in told


def test_a_job_is_to_be_one_of_prometheus(capsys: pytest.CaptureFixture[str]):
    call_command("metrics_rules", "--job", "nope")

    assert "job='nope' alone, which has to be a `job_name`" in capsys.readouterr().err


def test_what_a_dashboard_leaves_out_does_not_look_like_an_error(
    capsys: pytest.CaptureFixture[str],
):
    call_command("metrics_dashboard", force_color=True)

    told = capsys.readouterr().err
    assert told.startswith("Done, without ")
    assert "\x1b" not in told


# --- what does not answer -------------------------------------------------------------

NOBODY = {
    "default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"},
    "sessions": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1/0",
    },
}


@override_settings(CACHES=NOBODY)
def test_a_cache_that_does_not_answer_is_one_fault_and_one_line(caplog: pytest.LogCaptureFixture):
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
