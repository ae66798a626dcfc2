"""What is in the wheel and in the sdist, and what becomes of the wheel where it is
installed; run by ``tox -e package``."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import textwrap
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tachikoma_metrics import __version__
from tachikoma_metrics.exposition.parse import parse_text
from tests.services.pages import Page
from tests.services.processes import ROOT, answers, eventually, free_port, get, running
from tests.services.sites import requests, total

pytest.importorskip("build", reason="the package environment has it")


# --- what is built ----------------------------------------------------------


def build(folder: Path, *options: str) -> Path:
    """Build into a folder, as `tox -e build` does, and return it."""
    command = [sys.executable, "-m", "build", "--no-isolation", *options]
    subprocess.run(
        [*command, "--outdir", str(folder), str(ROOT)],
        check=True,
        capture_output=True,
        timeout=300,
    )
    return folder


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of what a release built, or build the same here."""
    if "DIST" in os.environ:
        return Path(os.environ["DIST"])
    return build(tmp_path_factory.mktemp("dist"))


def content(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_has_every_file_of_the_package_and_nothing_else(built: Path):
    (wheel,) = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    packaged = {name for name in names if ".dist-info/" not in name}
    source = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tachikoma_metrics").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert packaged == source
    assert "tachikoma_metrics/py.typed" in packaged
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in names)


def metadata_of(built: Path) -> str:
    """Return what the wheel says of itself."""
    (wheel,) = built.glob("*.whl")
    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
    return archive.read(name).decode()


def test_the_wheel_says_what_it_needs(built: Path):
    metadata = metadata_of(built)

    assert "Requires-Dist: django>=5.2\n" in metadata
    assert "Requires-Dist: django-prometheus>=2.4; extra == 'django-prometheus'\n" in metadata
    assert "Requires-Python: >=3.10\n" in metadata


def test_the_readme_leads_to_the_site_where_it_stands_alone(built: Path):
    targets = re.findall(r"\]\(([^)]+)\)", metadata_of(built))

    assert len(targets) > 10
    assert [target for target in targets if not target.startswith("https://")] == []
    for target in targets:
        page = target.removeprefix("https://tachikoma-metrics.readthedocs.io/en/stable/")
        if page.endswith(".html"):
            assert (ROOT / "docs" / page).with_suffix(".md").exists()


def test_the_sdist_has_what_a_packager_needs(built: Path):
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert {
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "LICENSE",
        "README.md",
        "SECURITY.md",
        "benchmarks/__main__.py",
        "docs/reference/metrics.md",
        "example_project/manage.py",
        "pyproject.toml",
        "tachikoma_metrics/py.typed",
        "tests/catalogue/test_catalogue.py",
        "tox.ini",
    } <= names
    assert not [name for name in names if "__pycache__" in name or name.endswith(".sqlite3")]


def test_the_sdist_makes_the_same_wheel_as_the_tree(built: Path, tmp_path: Path):
    (from_sdist,) = built.glob("*.whl")
    (from_tree,) = build(tmp_path, "--wheel").glob("*.whl")

    assert from_tree.name == from_sdist.name
    assert content(from_tree) == content(from_sdist)


def test_the_index_can_show_both(built: Path):
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *map(str, built.iterdir())],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


# --- where the wheel is installed -------------------------------------------

SETTINGS = """
INSTALLED_APPS += ["tachikoma_metrics"]
MIDDLEWARE.insert(0, "tachikoma_metrics.middleware.MetricsMiddleware")
TACHIKOMA_METRICS = {"STORE_DIR": str(BASE_DIR / "values")}
"""

URLS = """
from django.contrib.contenttypes.models import ContentType
from django.core.cache import cache
from django.http import HttpResponse
from django.urls import include


def mission(request, mission):
    cache.get(mission)
    return HttpResponse(f"{ContentType.objects.count()} kinds of rows")


urlpatterns += [
    path("missions/<uuid:mission>/", mission),
    path("numbers", include("tachikoma_metrics.urls")),
]
"""

MISSION = "/missions/123e4567-e89b-12d3-a456-426614174000/"


@dataclass(frozen=True)
class Project:
    """A new Django project in an environment that has the wheel and what it depends on."""

    home: Path
    python: Path

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the environment's Python in the folder of the project."""
        return subprocess.run(
            [str(self.python), *arguments],
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def environment(self) -> dict[str, str]:
        """Return an environment in which nothing leads to this repository."""
        ours = ("PYTHONPATH", "DJANGO_SETTINGS_MODULE", "VIRTUAL_ENV")
        return {key: value for key, value in os.environ.items() if key not in ours}


@pytest.fixture(scope="module")
def project(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Start a project, and install the wheel as the README says."""
    home = tmp_path_factory.mktemp("project")
    environment = tmp_path_factory.mktemp("environment")
    (wheel,) = built.glob("*.whl")
    uv = [sys.executable, "-m", "uv", "--quiet"]
    for command in (
        [*uv, "venv", "--python", sys.executable, "--clear", str(environment)],
        [*uv, "pip", "install", "--python", str(environment), str(wheel)],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=300)
    project = Project(home, environment / "bin" / "python")
    assert project.run("-m", "django", "startproject", "shop", ".").returncode == 0
    for name, more in (("settings", SETTINGS), ("urls", URLS)):
        with (home / "shop" / f"{name}.py").open("a") as module:
            module.write(more)
    return project


@pytest.fixture(scope="module")
def url(project: Project) -> Iterator[str]:
    """Migrate and serve the project."""
    migrated = project.run("manage.py", "migrate")
    assert migrated.returncode == 0, migrated.stderr
    port = free_port()
    command = [str(project.python), "manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
    log = project.home / "server.log"
    with running(command, log, cwd=project.home, env=project.environment):
        eventually(lambda: answers(f"http://127.0.0.1:{port}/metrics"))
        yield f"http://127.0.0.1:{port}"


def page(url: str, path: str = "/metrics") -> Page:
    return parse_text(get(url + path)[1].decode())


def test_the_wheel_brings_nothing_but_what_it_measures_and_shows(project: Project):
    listed = project.run(
        "-c",
        "from importlib.metadata import distributions\n"
        "for found in distributions(): print(found.name.lower(), found.version)",
    )
    installed = dict(line.split() for line in listed.stdout.splitlines())

    assert installed.pop("tachikoma-metrics") == __version__
    # sqlparse is Django's, typing_extensions asgiref's under Python 3.10.
    installed.pop("typing_extensions", None)
    assert set(installed) == {"asgiref", "django", "prometheus_client", "pyyaml", "sqlparse"}


def test_what_is_around_the_package_is_not_installed_with_it(project: Project):
    names = sorted(path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != ".")
    found = project.run(
        "-c",
        "import sys; from importlib.util import find_spec\n"
        "print(*(name for name in sys.argv[1:] if find_spec(name)))",
        *names,
        *("depot", "missions", "tachikoma"),
    )

    assert {"benchmarks", "docs", "example_project", "tests"} <= set(names)
    assert found.stdout.split() == ["tachikoma_metrics"], found.stderr


def test_a_new_project_has_nothing_to_be_told(project: Project):
    checked = project.run("manage.py", "check", "--fail-level", "WARNING")

    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout


def test_a_new_project_has_no_migration_to_make(project: Project):
    made = project.run("manage.py", "makemigrations", "--check", "--dry-run")

    assert made.returncode == 0, made.stdout + made.stderr


def test_what_a_new_project_answers_is_on_its_page(url: str):
    before = page(url)
    answers = [get(url + path) for path in (MISSION, MISSION, MISSION, "/nothing/here/")]
    eventually(lambda: requests(page(url)) - requests(before) == 4)
    after = page(url)

    def rise(name: str, **labels: str) -> float:
        return total(after, name, **labels) - total(before, name, **labels)

    route = {"method": "GET", "path": "/missions/:id/"}
    assert [status for status, _ in answers] == [200, 200, 200, 404]
    assert rise("http_requests_total", **route, status="200") == 3
    assert rise("http_requests_total", method="GET", path="<unmatched>", status="404") == 1
    assert rise("http_request_duration_seconds_count", **route) == 3
    assert rise("http_request_duration_seconds_sum", **route) > 0
    assert rise("http_response_size_bytes_sum", **route) == 3 * len(answers[0][1])
    assert rise("db_queries_total", operation="select", table="django_content_type") == 3
    assert rise("cache_misses_total") == 3
    assert total(after, "http_requests_in_flight") == 0
    assert total(after, "tachikoma_metrics_info", version=__version__) == 1
    assert total(after, "tachikoma_metrics_errors_total") == 0


def test_the_route_shows_what_the_middleware_shows(url: str):
    before = requests(page(url))
    get(url + MISSION)
    eventually(lambda: requests(page(url)) > before)

    assert requests(page(url, "/numbers")) == requests(page(url))


def commands() -> list[str]:
    folder = ROOT / "tachikoma_metrics" / "management" / "commands"
    return sorted(path.stem for path in folder.glob("[!_]*.py"))


@pytest.mark.parametrize("command", commands())
def test_every_command_is_there_and_says_what_it_does(project: Project, command: str):
    helped = project.run("manage.py", command, "--help")

    assert helped.returncode == 0, helped.stderr
    assert helped.stdout.startswith(f"usage: manage.py {command} ")


def test_the_doctor_finds_nothing_wrong_with_a_new_project(project: Project, url: str):
    asked = project.run("manage.py", "metrics_doctor", "--json", "--url", f"{url}/metrics")

    assert asked.returncode == 0, asked.stdout + asked.stderr
    assert json.loads(asked.stdout)


def test_the_types_of_the_wheel_are_known_to_mypy(project: Project, tmp_path: Path):
    user = tmp_path / "user.py"
    user.write_text(
        textwrap.dedent("""
            from tachikoma_metrics import Timer, normalize_path, record_db_query

            template: str = normalize_path("/missions/1")
            with Timer(lambda seconds: record_db_query("select", template, seconds)):
                record_db_query("select", "missions", "slow")
        """)
    )
    options = ["--strict", "--no-incremental", "--config-file", os.devnull]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "--python-executable", str(project.python), "."],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    complaint, summary = done.stdout.splitlines()
    assert complaint.startswith("user.py:6: error: ")
    assert complaint.endswith("[arg-type]")
    assert summary.startswith("Found 1 error in 1 file")
