"""Small projects of their own, whose commands run in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SETTINGS = """
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "mysite.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "django.contrib.auth", "tachikoma_metrics"]
MIDDLEWARE = ["tachikoma_metrics.middleware.MetricsMiddleware"]
DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": "{home}/db.sqlite3"}}}}
TACHIKOMA_METRICS = {{"STORE_DIR": "{home}/store"}}
"""


_SETUP = "import django; django.setup()"


class Project:
    """A project ``mysite`` in a folder, with settings that end in what a test adds."""

    def __init__(self, home: Path, settings: str = "", **files: str) -> None:
        self.home = home
        package = home / "mysite"
        package.mkdir(parents=True)
        texts = {"__init__": "", "urls": "urlpatterns = []\n", **files}
        texts["settings"] = SETTINGS.format(home=home) + settings
        for name, text in texts.items():
            (package / f"{name}.py").write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``manage.py`` with these arguments; a warning of Python's is an error."""
        return self._python("-m", "django", *arguments)

    def run_code(self, code: str, setup: str = _SETUP) -> subprocess.CompletedProcess[str]:
        """Run some code in the project, which is set up before."""
        return self._python("-c", f"{setup}\n{code}")

    def _python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        root = str(Path(__file__).parent.parent)
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        environment = {"PYTHONPATH": f"{self.home}{os.pathsep}{root}", "NO_COLOR": "1", **kept}
        return subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=self.home,
            env={**environment, "DJANGO_SETTINGS_MODULE": "mysite.settings"},
            capture_output=True,
            text=True,
            timeout=60,
        )
