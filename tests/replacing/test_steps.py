"""What ``manage.py metrics_migrate`` says is to be changed in a project."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import django_prometheus
import pytest
from django.core.management import call_command
from django.test import override_settings

from tachikoma_metrics.catalogue.views import VIEWS
from tachikoma_metrics.replacing import PHASES, incumbent, steps
from tachikoma_metrics.replacing.incumbent import BACKENDS, ENGINES
from tests.projects import Project
from tests.replacing.conftest import SETTINGS

OURS = "tachikoma_metrics.middleware.MetricsMiddleware"


@pytest.fixture(scope="module")
def found(project: Project) -> list[dict[str, str]]:
    process = project.run("metrics_migrate", "--json")
    assert process.returncode == 0, process.stderr
    assert process.stderr == ""
    listed: list[dict[str, str]] = json.loads(process.stdout)
    return listed


def value(found: list[dict[str, str]], phase: str, place: str) -> str:
    (step,) = [one for one in found if (one["phase"], one["place"]) == (phase, place)]
    assert step["status"] == "change"
    return step["value"]


def evaluated(assignment: str, **names: Any) -> dict[str, Any]:
    """Return the names of a settings module after an assignment in it."""
    exec(assignment, {}, names)  # noqa: S102  # As a reader's settings would.
    return names


def test_the_phases_are_in_their_order(found: list[dict[str, str]]):
    phases = [one["phase"] for one in found]

    assert phases == sorted(phases, key=list(PHASES).index)
    assert set(phases) == set(PHASES)


def test_the_middleware_is_added_first_and_later_replaces_the_others(
    found: list[dict[str, str]],
):
    installed = evaluated(value(found, "install", "MIDDLEWARE"))["MIDDLEWARE"]
    switched = evaluated(value(found, "switch", "MIDDLEWARE"))["MIDDLEWARE"]

    assert installed[0] == OURS
    assert (
        installed[1:]
        == evaluated(SETTINGS, INSTALLED_APPS=[], DATABASES={"default": {}}, TACHIKOMA_METRICS={})[
            "MIDDLEWARE"
        ]
    )
    assert switched == [OURS, "django.middleware.common.CommonMiddleware"]


def test_an_app_after_django_prometheus_is_moved_before_it(tmp_path: Path):
    apps = 'INSTALLED_APPS = ["django_prometheus", *INSTALLED_APPS]\n'
    process = Project(tmp_path / "site", apps).run("metrics_migrate", "--json")

    moved = evaluated(value(json.loads(process.stdout), "install", "INSTALLED_APPS"))
    assert moved["INSTALLED_APPS"][:2] == ["tachikoma_metrics", "django_prometheus"]


def test_the_view_and_what_it_needs_are_switched_on(found: list[dict[str, str]]):
    names: dict[str, Any] = {"TACHIKOMA_METRICS": {"STORE_DIR": "/x"}}
    for key in ("VIEWS", "EXTRA_METRICS", "PATH"):
        evaluated(value(found, "view", f"TACHIKOMA_METRICS: {key}"), **names)

    assert names["TACHIKOMA_METRICS"] == {
        "STORE_DIR": "/x",
        "VIEWS": ["django-prometheus"],
        "EXTRA_METRICS": [
            "http_responses_by_template_total",
            "migrations_unapplied",
            "migrations_applied",
        ],
        "PATH": "/prometheus/metrics",
    }


def test_each_engine_and_backend_is_replaced(found: list[dict[str, str]]):
    names: dict[str, Any] = {"DATABASES": {"default": {}}, "CACHES": {"default": {}}}
    for place in ('DATABASES["default"]["ENGINE"]', 'CACHES["default"]["BACKEND"]'):
        evaluated(value(found, "switch", place), **names)

    assert names["DATABASES"]["default"]["ENGINE"] == "django.db.backends.sqlite3"
    backend = "django.core.cache.backends.locmem.LocMemCache"
    assert names["CACHES"]["default"]["BACKEND"] == backend


def test_the_app_leaves_the_project(found: list[dict[str, str]]):
    apps = evaluated(value(found, "switch", "INSTALLED_APPS"))["INSTALLED_APPS"]

    assert "django_prometheus" not in apps
    assert {"mysite", "tachikoma_metrics"} <= set(apps)


def test_the_import_of_the_mixin_is_replaced_in_its_line(found: list[dict[str, str]]):
    line = "from tachikoma_metrics.compat.django_prometheus import ExportModelOperationsMixin"

    assert value(found, "switch", "mysite/models.py:3") == line


def test_a_subclass_for_labels_is_found(found: list[dict[str, str]]):
    (step,) = [one for one in found if one["place"] == "mysite/labelled.py:2"]

    assert "EXTRA_LABELS" in step["message"]


def test_no_secret_is_printed(project: Project):
    for arguments in ((), ("--json",)):
        assert "a-secret" not in project.run("metrics_migrate", *arguments).stdout


def test_settings_that_are_honoured_stay(found: list[dict[str, str]]):
    kept = [one["place"] for one in found if one["status"] == "keep"]

    assert kept == ["PROMETHEUS_METRIC_NAMESPACE"]


def test_what_is_lost_has_a_reason(found: list[dict[str, str]]):
    lost = {one["place"]: one["message"] for one in found if one["status"] == "none"}
    missing = VIEWS["django-prometheus"].missing

    assert lost == {name: text for name, text in missing.items() if "django_model_" not in name}


def test_nothing_is_changed_by_it(project: Project):
    before = {path: path.read_bytes() for path in project.home.glob("mysite/*.py")}

    assert project.run("metrics_migrate").returncode == 0
    assert {path: path.read_bytes() for path in project.home.glob("mysite/*.py")} == before


def places(status: str) -> dict[str, str]:
    return {one.place: one.value or one.message for one in steps() if one.status == status}


def test_a_project_without_django_prometheus_has_nothing_to_switch(tmp_path: Path):
    process = Project(tmp_path / "site").run("metrics_migrate", "--json")

    found = json.loads(process.stdout)
    assert {one["status"] for one in found if one["phase"] == "switch"} == {"done"}
    switched = {one["place"] for one in found if one["phase"] == "switch"}
    assert switched == {"source", "URLconf", "MIDDLEWARE", "DATABASES", "CACHES", "INSTALLED_APPS"}


SOURCE = """
from django_prometheus import exports
from django_prometheus import models as counted
from django_prometheus.conf import NAMESPACE
from django_prometheus.db.backends.sqlite3.base import DatabaseWrapper
from django_prometheus.testutils import assert_metric_equal
import django_prometheus
# from django_prometheus.models import ExportModelOperationsMixin
"""


def test_each_line_of_the_source_has_its_own_remedy(tmp_path: Path):
    process = Project(tmp_path / "site", odd=SOURCE).run("metrics_migrate", "--json")

    found = {
        one["place"].rpartition(":")[2]: (one["status"], one["message"].split(":")[0])
        for one in json.loads(process.stdout)
        if "odd.py" in one["place"]
    }
    assert found == {
        "2": ("change", "Remove it"),
        "3": (
            "change",
            "The mixin counts the rows of bulk operations, too; its metrics keep their names.",
        ),
        "4": ("none", "Nothing takes its place"),
        "5": ("change", "Derive from Django's own class"),
        "6": ("change", "Tests use tachikoma_metrics.testing instead, with other functions."),
        "7": ("none", "Nothing takes its place"),
    }


REPLACED = """
from tachikoma_metrics.compat.django_prometheus import ExportModelOperationsMixin
bases = (tachikoma_metrics.compat.django_prometheus.ExportModelOperationsMixin("order"),)
"""


def test_the_mixin_of_this_package_is_not_replaced_again(tmp_path: Path):
    process = Project(tmp_path / "site", odd=REPLACED).run("metrics_migrate", "--json")

    assert "odd.py" not in process.stdout


OTHER_SETTINGS = """
DATABASES = {"default": {"ENGINE": "django_prometheus.db.backends.postgresql"}}
MIDDLEWARE = ["django_prometheus.middleware.PrometheusBeforeMiddleware"]
"""


def test_settings_that_the_command_does_not_run_with_are_found(tmp_path: Path):
    process = Project(tmp_path / "site", prod=OTHER_SETTINGS).run("metrics_migrate", "--json")

    found = [one for one in json.loads(process.stdout) if "prod.py" in one["place"]]
    assert [one["phase"] for one in found] == ["switch", "switch"]
    assert [one["value"] for one in found] == [
        'DATABASES = {"default": {"ENGINE": "django.db.backends.postgresql"}}',
        "",
    ]


def test_an_installed_package_that_imports_it_is_found_before_it_is_uninstalled(tmp_path: Path):
    project = Project(tmp_path / "site", audit="import audited\n")
    packages = tmp_path / "site-packages"
    packages.mkdir()
    (packages / "audited.py").write_text(
        "from django_prometheus.middleware import PrometheusAfterMiddleware\n"
    )

    process = project.run_code(
        f"import sys; sys.path.append({str(packages)!r}); import mysite.audit\n"
        "from django.core.management import call_command\n"
        "call_command('metrics_migrate', '--json')"
    )

    found = [one for one in json.loads(process.stdout) if one["phase"] == "remove"]
    assert [one["place"] for one in found] == ["audited", "requirements"]


def test_all_subclasses_of_its_middleware_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(incumbent, "is_derived_middleware", lambda path: path.startswith("shop."))
    with override_settings(MIDDLEWARE=["shop.Before", "django.middleware.Other", "shop.After"]):
        (step,) = [one for one in steps() if one.phase == "switch" and one.place == "MIDDLEWARE"]

    assert "without shop.Before and shop.After, which are derived" in step.message


def test_server_hooks_of_the_multi_process_mode_are_found(tmp_path: Path):
    project = Project(tmp_path / "site")
    (project.home / "gunicorn.conf.py").write_text(
        "def child_exit(server, worker):\n    multiprocess.mark_process_dead(worker.pid)\n"
    )

    process = project.run("metrics_migrate", "--json")

    (step,) = [one for one in json.loads(process.stdout) if "gunicorn" in one["place"]]
    assert (step["phase"], step["place"]) == ("remove", "gunicorn.conf.py:2")


def test_with_the_multi_process_mode_the_other_endpoint_is_said_to_be_empty(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", "/run/shop")
    monkeypatch.setattr(incumbent, "routes", lambda: ["/monitoring/metrics"])

    found = [one for one in steps() if one.place == "TACHIKOMA_METRICS: PATH"]

    assert [(one.status, one.value) for one in found] == [
        ("change", 'TACHIKOMA_METRICS["PATH"] = "/monitoring/metrics"')
    ]
    assert "own endpoint is empty then" in found[0].message


def test_ports_are_replaced_by_that_of_the_web_server():
    with override_settings(PROMETHEUS_METRICS_EXPORT_PORT_RANGE=range(8001, 8010)):
        found = places("change")

    assert found["prometheus.yml"] == "metrics_path: /metrics"
    assert "PROMETHEUS_METRICS_EXPORT_PORT_RANGE" in found


def test_prometheus_gets_the_path_that_the_step_before_it_sets(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(incumbent, "routes", lambda: ["/monitoring/metrics"])

    with override_settings(PROMETHEUS_METRICS_EXPORT_PORT=8001):
        found = places("change")

    assert found["TACHIKOMA_METRICS: PATH"] == 'TACHIKOMA_METRICS["PATH"] = "/monitoring/metrics"'
    assert found["prometheus.yml"] == "metrics_path: /monitoring/metrics"


@pytest.mark.parametrize("name", ["PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir"])
def test_variables_of_the_multi_process_mode_are_removed(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(name, "/run/shop")

    assert places("change")[f"environment: {name}"] == f"unset {name}"


def test_every_part_of_django_prometheus_has_its_original():
    home = Path(django_prometheus.__path__[0])
    engines = {
        f"django_prometheus.db.backends.{one.parent.name}"
        for one in home.glob("db/backends/*/base.py")
    }
    modules = {
        f"django_prometheus.cache.backends.{one.stem}"
        for one in home.glob("cache/backends/[a-z]*.py")
    }

    assert engines == set(ENGINES)
    assert modules == {path.rpartition(".")[0] for path in BACKENDS}


def test_middleware_that_is_not_first_is_moved():
    theirs = "django_prometheus.middleware.PrometheusBeforeMiddleware"
    with override_settings(MIDDLEWARE=[theirs, OURS, "nowhere.Middleware"]):
        found = [one for one in steps() if one.place == "MIDDLEWARE"]
        verify = places("change")["service"]

    assert [evaluated(one.value)["MIDDLEWARE"] for one in found] == [
        [OURS, theirs, "nowhere.Middleware"],
        [OURS, "nowhere.Middleware"],
    ]
    assert verify == "python manage.py metrics_migrate --compare"


def test_an_unknown_backend_is_named():
    caches = {"default": {"BACKEND": "django_prometheus.cache.backends.new.NewCache"}}
    with override_settings(CACHES=caches):
        found = places("change")

    assert (
        "django_prometheus.cache.backends.new.NewCache is not known"
        in (found['CACHES["default"]["BACKEND"]'])
    )


def test_the_lines_are_numbered_by_phase(capsys: pytest.CaptureFixture[str]):
    call_command("metrics_migrate", "--no-color")

    printed = capsys.readouterr().out
    assert printed.startswith("1. Install tachikoma_metrics beside django-prometheus.\n")
    assert '    done  INSTALLED_APPS: It has "tachikoma_metrics".\n' in printed
    assert "            pip uninstall django-prometheus\n" in printed
