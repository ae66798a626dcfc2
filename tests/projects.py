"""Small projects of their own, whose commands run in processes of their own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.starter import start

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
_MANAGE = "import runpy; runpy.run_module('django', run_name='__main__', alter_sys=True)"


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
        return self._python(_MANAGE, *arguments)

    def run_code(self, code: str, setup: str = _SETUP) -> subprocess.CompletedProcess[str]:
        """Run some code in the project, which is set up before."""
        return self._python(f"{setup}\n{code}")

    def _python(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        process = start(
            code,
            *arguments,
            environment={**kept, "NO_COLOR": "1", "DJANGO_SETTINGS_MODULE": "mysite.settings"},
            options=("-W", "error"),
            directory=self.home,
            paths=(str(self.home),),
        )
        with process:
            try:
                output, errors = process.communicate(timeout=60)
            except BaseException:
                process.kill()
                raise
        return subprocess.CompletedProcess(arguments, process.returncode, output, errors)
