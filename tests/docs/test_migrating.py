"""The guide to migrating, followed in a project that uses django-prometheus; and its queries."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tachikoma_metrics.exposition.parse import parse_text
from tests.docs import files
from tests.docs.elsewhere import is_run_elsewhere
from tests.docs.following import PROJECT, Reader
from tests.docs.names import Labels, faults_of_query
from tests.docs.pages import MIGRATING
from tests.docs.terminals import Desk, desk
from tests.services.processes import get, program

GUIDE = MIGRATING

_OLD_LINE = "#   "
_WITHOUT_COUNTERPART = re.compile(r"\| `(django_\w+)` \| [^|]+ \|")

# In a process of its own: here, its families would be on the page of other tests.
_THEIR_FAMILIES = """
import json
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["django_prometheus"], PROMETHEUS_EXPORT_MIGRATIONS=False)
django.setup()
import django_prometheus.cache.metrics, django_prometheus.db.metrics
import django_prometheus.middleware, django_prometheus.migrations, django_prometheus.models
from prometheus_client import REGISTRY
django_prometheus.middleware.Metrics.get_instance()
collectors = {c for c in REGISTRY._collector_to_names if getattr(c, "_type", None)}
print(json.dumps([
    [c._type, c._name, c._labelnames] for c in collectors if c._name.startswith("django_")
]))
"""
_SAMPLES = {
    "counter": ["{}_total"],
    "gauge": ["{}"],
    "histogram": ["{}_bucket", "{}_count", "{}_sum"],
}


@dataclass(frozen=True)
class Pair:
    """A query of django-prometheus, in a comment, and the one that replaces it."""

    what: str
    theirs: str
    ours: str


def mapping() -> str:
    """Return the section of the guide that has the queries."""
    text = GUIDE.read_text(encoding="utf-8")
    return text.partition("\n## Query mapping\n")[2].partition("\n## ")[0]


def pairs() -> list[Pair]:
    blocks = [part.partition("```")[0] for part in mapping().split("```promql\n")[1:]]
    return [read_pair(text) for block in blocks for text in block.strip().split("\n\n")]


def read_pair(text: str) -> Pair:
    """Read a title, a query in comments that are indented, and a query."""
    title, *lines = text.splitlines()
    theirs = [line.removeprefix(_OLD_LINE) for line in lines if line.startswith(_OLD_LINE)]
    ours = [line for line in lines if not line.startswith("#")]
    assert title.startswith("# ")
    assert len(theirs) + len(ours) == len(lines)
    return Pair(title.removeprefix("# "), "\n".join(theirs), "\n".join(ours))


def without_counterpart() -> list[str]:
    """Return the metrics of the last table."""
    lines = mapping().partition("### Metrics without a counterpart")[2].splitlines()
    rows = [line for line in lines if line.startswith("| `")]
    matches = [_WITHOUT_COUNTERPART.fullmatch(row) for row in rows]
    assert None not in matches, rows[matches.index(None)]
    return [match[1] for match in matches if match]


@pytest.fixture(scope="module")
def families() -> list[tuple[str, str, list[str]]]:
    """Return the families of django-prometheus that is installed."""
    told = subprocess.run(
        [sys.executable, "-c", _THEIR_FAMILIES], capture_output=True, check=True, timeout=60
    )
    return [(kind, name, labels) for kind, name, labels in json.loads(told.stdout)]


@pytest.fixture(scope="module")
def theirs(families: list[tuple[str, str, list[str]]]) -> dict[str, Labels]:
    """Return its samples, and their labels."""
    return {
        pattern.format(name): frozenset(labels) | ({"le"} if "bucket" in pattern else set())
        for kind, name, labels in families
        for pattern in _SAMPLES[kind]
    }


def test_there_are_pairs_of_queries():
    assert len(pairs()) > 25


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.what)
def test_what_is_asked_of_django_prometheus_is_there(pair: Pair, theirs: dict[str, Labels]):
    assert faults_of_query(pair.theirs, theirs) == []


@pytest.mark.parametrize("pair", pairs(), ids=lambda pair: pair.what)
def test_what_replaces_it_is_there(pair: Pair):
    assert faults_of_query(pair.ours) == []


def test_no_metric_of_django_prometheus_is_left_out(
    families: list[tuple[str, str, list[str]]], theirs: dict[str, Labels]
):
    lost = without_counterpart()
    asked = " ".join([*(pair.theirs for pair in pairs()), *lost])

    assert len(lost) > 5
    assert set(lost) <= theirs.keys()
    assert [name for _, name, _ in families if not re.search(rf"\b{name}(_|\b)", asked)] == []


# --- the steps ------------------------------------------------------------------

SETTINGS = """
SECRET_KEY = "for tests"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "mysite.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = [
    "django_prometheus",
    "django.contrib.contenttypes",
    "shop",
]
MIDDLEWARE = [
    "django_prometheus.middleware.PrometheusBeforeMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django_prometheus.middleware.PrometheusAfterMiddleware",
]
DATABASES = {
    "default": {
        "ENGINE": "django_prometheus.db.backends.sqlite3",
        "NAME": "db.sqlite3",
    }
}
CACHES = {
    "default": {
        "BACKEND": "django_prometheus.cache.backends.locmem.LocMemCache",
    }
}
PROMETHEUS_EXPORT_MIGRATIONS = True
"""

URLS = """# mysite/urls.py
from django.core.cache import cache
from django.http import HttpResponse
from django.urls import include, path

from shop.models import Order


def orders(request):
    cache.get("orders")
    Order.objects.create()
    return HttpResponse(str(Order.objects.count()))


urlpatterns = [
    path("orders/", orders, name="orders"),
    path("", include("django_prometheus.urls")),
]
"""

MODELS = """# shop/models.py
from django.db import models
from django_prometheus.models import ExportModelOperationsMixin


class Order(ExportModelOperationsMixin("order"), models.Model):
    number = models.IntegerField(default=0)
"""

RUN_BEFORE = [
    [sys.executable, "manage.py", "makemigrations", "shop"],
    [sys.executable, "manage.py", "migrate"],
    ["git", "init", "--quiet"],
    ["git", "config", "user.name", "Motoko"],
    ["git", "config", "user.email", "motoko@example.org"],
    ["git", "add", "."],
    ["git", "commit", "--quiet", "--message", "Sell"],
]

UNINSTALLED = 'raise ModuleNotFoundError("No module named django_prometheus")\n'
"""What stands in for django-prometheus, which other tests need, once it is uninstalled."""


@pytest.fixture
def incumbent(tmp_path: Path) -> Iterator[Desk]:
    """Lend a desk in the folder of a project that uses django-prometheus."""
    for name in ("curl", "git"):
        program(name)
    home = tmp_path / "project"
    home.mkdir()
    with desk(home, tmp_path) as somebody:
        start = [sys.executable, "-m", "django", "startproject", PROJECT, str(home)]
        run(somebody, start)
        (home / "shop").mkdir()
        (home / "shop" / "__init__.py").touch()
        (home / PROJECT / files.SETTINGS).write_text(SETTINGS)
        for block in (URLS, MODELS):
            files.put(block, home, PROJECT)
        (home / ".gitignore").write_text("__pycache__/\ndb.sqlite3\n")
        for command in RUN_BEFORE:
            run(somebody, command)
        yield somebody


def run(somebody: Desk, command: list[str]) -> None:
    done = subprocess.run(
        command,
        cwd=somebody.home,
        env=somebody.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_steps_lead_from_one_package_to_the_other_and_back(incumbent: Desk):
    stand_in = incumbent.home / "django_prometheus.py"
    uninstalled: list[str] = []

    def is_tried(command: str) -> bool:
        if command == "pip uninstall --yes django-prometheus":
            stand_in.write_text(UNINSTALLED)
            uninstalled.append(command)
            return True
        if command == "pip install django-prometheus":
            stand_in.unlink()
        return is_run_elsewhere(command)

    Reader(MIGRATING, lambda: incumbent, is_tried).follow()

    assert uninstalled
    status, body = get(f"http://127.0.0.1:{incumbent.port('8000')}/metrics")
    page = parse_text(body.decode())
    errors = [key for key, value in page.items() if value and "tachikoma" in key[0]]
    assert status == 200
    assert not any("errors_total" in name for name, _ in errors)
    # Both count again, and django-prometheus exposes its own metrics, as only it has this one.
    assert any(name == "django_http_ajax_requests_total" for name, _ in page)
