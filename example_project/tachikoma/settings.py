"""Settings of a small Tachikoma server, with SQLite."""

from __future__ import annotations

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

# For a demo on loopback; a real service has no default key.
SECRET_KEY = os.environ.get("SECRET_KEY", "only-for-the-demo-on-this-machine")
DEBUG = os.environ.get("DEBUG") == "1"
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "tachikoma_metrics",
    "missions",
]

MIDDLEWARE = [
    "tachikoma_metrics.middleware.MetricsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "tachikoma.urls"
WSGI_APPLICATION = "tachikoma.wsgi.application"
ASGI_APPLICATION = "tachikoma.asgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("DATABASE_PATH", BASE_DIR / "db.sqlite3"),
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20},
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

STATIC_URL = "static/"
USE_TZ = True

TACHIKOMA_METRICS = {
    "BUSINESS_METRICS": {
        "missions_total": {"model": "missions.Mission"},
        "specs_total": {"model": "missions.Spec", "labels": {"status": "status"}},
    },
    # Short, so that changes appear soon.
    "BUSINESS_INTERVAL": 5,
    "EXTRA_METRICS": [
        "http_response_time_to_first_byte_seconds",
        "http_request_db_queries",
        "http_request_db_seconds",
        "ws_connection_duration_seconds",
        "ws_connections_rejected_total",
        "ws_disconnects_total",
        "execution_time_to_first_chunk_seconds",
        "execution_cost_usd_total",
        "backend_requests_in_progress",
        "task_last_success_timestamp_seconds",
        "task_queue_length",
    ],
    "COMMANDS": ["prune_file_changes"],
}
if "STORE_DIR" in os.environ:
    TACHIKOMA_METRICS["STORE_DIR"] = os.environ["STORE_DIR"]
if os.environ.get("NATIVE_HISTOGRAMS") == "1":
    TACHIKOMA_METRICS["NATIVE_HISTOGRAMS"] = True
if "WORKER_PORT" in os.environ:
    TACHIKOMA_METRICS["WORKER_PORT"] = int(os.environ["WORKER_PORT"])

CELERY_BROKER_URL = os.environ.get("CELERY_BROKER_URL", "folder://localhost")
CELERY_TASK_IGNORE_RESULT = True
CELERY_BEAT_SCHEDULE = {
    "prune": {"task": "missions.tasks.prune_file_changes", "schedule": 10},
}
if CELERY_BROKER_URL.startswith("folder:"):
    # Each message is a file, and there is nothing to install.
    QUEUE_DIR = Path(os.environ.get("QUEUE_DIR", BASE_DIR / "data" / "queue"))
    QUEUE_DIR.mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": QUEUE_DIR,
        "data_folder_out": QUEUE_DIR,
        "control_folder": QUEUE_DIR / "control",
        "polling_interval": 0.2,
    }

# The URL of an OpenAI-compatible server, up to /v1, which executes specs.
LLM_BASE_URL = os.environ.get("LLM_BASE_URL", "")
LLM_MODEL = os.environ.get("LLM_MODEL", "demo-model")
# US dollars for a million tokens, of the prompt and of the completion.
LLM_PRICES = (2.5, 10.0)
