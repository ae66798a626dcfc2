from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("celery", reason="the demo's environment has it")

INSTALLED = "INSTALLED_APPS = ['tachikoma_metrics']; SECRET_KEY = 'x'; USE_TZ = True"
METRICS = "TACHIKOMA_METRICS = {'STORE_DIR': None, 'BUSINESS_INTERVAL': 2}"
IMPORT = "from tachikoma_metrics.celery import beat_schedule"
NIGHTLY = "CELERY_BEAT_SCHEDULE = {'nightly': {'task': 'shop.nightly', 'schedule': 86400}}"
MERGED = "CELERY_BEAT_SCHEDULE = {**beat_schedule()}"

APP = """
from celery import Celery
from tachikoma_metrics.celery import beat_schedule

app = Celery("shop")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = {**app.conf.beat_schedule, **beat_schedule()}
"""

ENTRY = "tachikoma_metrics: refresh business metrics"


class Project:
    """A project in a folder, whose schedule a process of its own prints."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, name: str, *lines: str) -> None:
        (self.folder / name).parent.mkdir(exist_ok=True)
        (self.folder / name).write_text("\n".join(lines) + "\n")

    def schedule(self, settings: str, code: str) -> dict[str, float]:
        """Return the seconds of each entry of the schedule that ``code`` makes."""
        done = self.run(settings, f"{code}; import json; print(json.dumps(found))")
        assert done.returncode == 0, done.stderr
        entries = json.loads(done.stdout)
        assert ENTRY in entries
        assert entries[ENTRY]["options"]["expires"] == entries[ENTRY]["schedule"]
        return {name: entry["schedule"] for name, entry in entries.items()}

    def run(self, settings: str, code: str) -> subprocess.CompletedProcess[str]:
        paths = os.pathsep.join([str(self.folder), *filter(None, sys.path)])
        environ = {**os.environ, "DJANGO_SETTINGS_MODULE": settings, "PYTHONPATH": paths}
        command = [sys.executable, "-W", "ignore", "-c", code]
        return subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=60, check=False
        )


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


OF_SETTINGS = (
    "import django; django.setup(); from django.conf import settings; "
    "found = settings.CELERY_BEAT_SCHEDULE"
)
OF_APP = "from shop import app; found = dict(app.conf.beat_schedule)"


def test_below_the_settings_it_has_their_interval(project: Project):
    project.write("site_settings.py", INSTALLED, METRICS, IMPORT, MERGED)

    assert project.schedule("site_settings", OF_SETTINGS) == {ENTRY: 2}


def test_above_the_settings_it_raises_and_says_what_to_do(project: Project):
    project.write("site_settings.py", INSTALLED, IMPORT, MERGED, METRICS)

    done = project.run("site_settings", OF_SETTINGS)

    assert done.returncode != 0
    assert "before TACHIKOMA_METRICS is defined" in done.stderr
    assert "{**app.conf.beat_schedule, **beat_schedule()}" in done.stderr


def test_in_settings_that_others_import_it_raises(project: Project):
    project.write("common_settings.py", INSTALLED, IMPORT, METRICS, MERGED)
    changed = "TACHIKOMA_METRICS['BUSINESS_INTERVAL'] = 7"
    project.write("site_settings.py", "from common_settings import *", changed)

    done = project.run("site_settings", OF_SETTINGS)

    assert "before TACHIKOMA_METRICS is defined" in done.stderr


def test_where_something_read_the_settings_too_early_it_raises(project: Project):
    early = "from django.conf import settings; settings.DEBUG"
    project.write("site_settings.py", INSTALLED, early, IMPORT, MERGED, METRICS)

    done = project.run("site_settings", OF_SETTINGS)

    assert "before TACHIKOMA_METRICS is defined" in done.stderr


def test_the_apps_other_entries_stay(project: Project):
    project.write("site_settings.py", INSTALLED, NIGHTLY, METRICS)
    project.write("shop/__init__.py", APP)

    assert project.schedule("site_settings", OF_APP) == {"nightly": 86400, ENTRY: 2}


def test_an_app_that_the_settings_package_imports_has_the_interval(project: Project):
    project.write("shop/settings.py", INSTALLED, NIGHTLY, METRICS)
    project.write("shop/__init__.py", APP)
    code = f"import django; django.setup(); {OF_APP}"

    assert project.schedule("shop.settings", code) == {"nightly": 86400, ENTRY: 2}
