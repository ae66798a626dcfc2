from __future__ import annotations

import os

SECRET_KEY = "guards nothing"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["depot", "tachikoma_metrics"]
MIDDLEWARE = ["tachikoma_metrics.middleware.MetricsMiddleware"]
ROOT_URLCONF = "depot.urls"
WSGI_APPLICATION = "depot.wsgi.application"

if "STORE_DIR" in os.environ:
    TACHIKOMA_METRICS = {"STORE_DIR": os.environ["STORE_DIR"]}

CELERY_BROKER_URL = os.environ.get("BROKER", "redis://127.0.0.1:6379/0")
CELERY_TASK_IGNORE_RESULT = True
