"""A site that knows for itself what happened in it."""

from __future__ import annotations

import json
import os

SECRET_KEY = "guards nothing"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["kiosk", "tachikoma_metrics"]
MIDDLEWARE = ["tachikoma_metrics.middleware.MetricsMiddleware"]
ROOT_URLCONF = "kiosk.urls"
WSGI_APPLICATION = "kiosk.wsgi.application"
ASGI_APPLICATION = "kiosk.asgi.application"

TACHIKOMA_METRICS: dict[str, object] = json.loads(os.environ.get("SETTINGS", "{}"))

CELERY_BROKER_URL = os.environ.get("BROKER", "")
CELERY_TASK_IGNORE_RESULT = True
