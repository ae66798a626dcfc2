"""Small sites with the live page, each served by processes of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from tests.services.processes import ROOT, eventually, free_port

SETTINGS = """
SECRET_KEY = "for tests"
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "site_urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
INSTALLED_APPS = [
    "django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes",
    "django.contrib.sessions", "django.contrib.messages", "tachikoma_metrics",
]
MIDDLEWARE = [
    "tachikoma_metrics.middleware.MetricsMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [{
    "BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True,
    "OPTIONS": {"context_processors": [
        "django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
        "django.contrib.messages.context_processors.messages",
    ]},
}]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": HOME + "/db.sqlite3"}}
STATIC_URL = "static/"
TACHIKOMA_METRICS = {
    "STORE_DIR": HOME + "/store",
    "EXTRA_METRICS": ["http_request_db_queries", "execution_cost_usd_total"],
}
"""

URLS = """
import time
from django.contrib import admin
from django.contrib.auth.models import Permission
from django.http import HttpResponse
from django.urls import include, path
from prometheus_client import Gauge
from tachikoma_metrics import record_execution, track_execution

STOCK = Gauge("stock_items", "Items in stock.")

def hello(request):
    STOCK.set(42)
    return HttpResponse("hello")

def queries(request):
    for _ in range(25):
        Permission.objects.exists()
    return HttpResponse("many")

def fail(request):
    raise ZeroDivisionError

def execute(request):
    with track_execution("openai", "gpt-9") as execution:
        execution.usage({"prompt_tokens": 100, "completion_tokens": 7})
        execution.cost(0.25)
    return HttpResponse("executed")

urlpatterns = [
    path("admin/", admin.site.urls),
    path("live/", include("tachikoma_metrics.live.urls")),
    path("hello/", hello), path("queries/", queries),
    path("fail/", fail), path("execute/", execute),
]
"""

USERS = """
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
users = get_user_model().objects
users.create_superuser(username="staff", password="staff")
users.create_user(username="other", password="other")
users.create_user(username="viewer", password="viewer").user_permissions.add(
    Permission.objects.get(codename="view_live"))
"""


def session_program(user: str) -> str:
    """Return a program that logs a user in and prints the key of the session."""
    return f"""
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model
from django.contrib.sessions.backends.db import SessionStore
user = get_user_model().objects.get(username={user!r})
session = SessionStore()
session[SESSION_KEY] = str(user.pk)
session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
session[HASH_SESSION_KEY] = user.get_session_auth_hash()
session.save()
print(session.session_key)
"""


class Site:
    """A site in a folder, whose settings and modules a test adds to."""

    def __init__(self, home: Path, settings: str = "", prefix: str = "", **modules: str) -> None:
        self.home = home
        self.prefix = prefix
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}{prefix}"
        texts = {"site_urls": URLS, **modules}
        texts["site_settings"] = f"HOME = {str(home)!r}\n{SETTINGS}\n{settings}"
        for name, text in texts.items():
            (home / f"{name}.py").write_text(text)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            "DJANGO_SETTINGS_MODULE": "site_settings",
            "PYTHONPATH": f"{self.home}{os.pathsep}{ROOT}",
        }

    def run(self, code: str) -> str:
        """Run some code in the site; return what it printed."""
        setup = "import django; django.setup()\nfrom django.core.management import call_command\n"
        command = [sys.executable, "-c", setup + code]
        done = subprocess.run(
            command,
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def prepare(self, users: str = USERS, *, migrations: str = "") -> None:
        """Make the tables, after ``migrations``, and ``users``."""
        self.run(f"{migrations}\ncall_command('migrate', verbosity=0)\n{users}")

    @contextlib.contextmanager
    def serving(self, workers: int = 2) -> Iterator[subprocess.Popen[bytes]]:
        """Serve with gunicorn during the block."""
        application = "django.core.wsgi:get_wsgi_application()"
        command = [sys.executable, "-m", "gunicorn", application, "--workers", str(workers)]
        options = ["--threads", "4", "--bind", f"127.0.0.1:{self.port}", "--log-level", "error"]
        environment = {**self.environment, "SCRIPT_NAME": self.prefix}
        with (self.home / "log").open("ab") as log:
            server = subprocess.Popen(
                [*command, *options], cwd=self.home, env=environment, stdout=log, stderr=log
            )
        try:
            eventually(lambda: self.get("/hello/") == 200)
            yield server
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)

    def get(self, path: str) -> int:
        """Return the status of the response; 0 without one."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=10) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0
