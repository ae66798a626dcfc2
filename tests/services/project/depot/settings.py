from __future__ import annotations

import json
import os

SECRET_KEY = "guards nothing"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["depot", "tachikoma_metrics"]
MIDDLEWARE = ["tachikoma_metrics.middleware.MetricsMiddleware"]
ROOT_URLCONF = "depot.urls"
WSGI_APPLICATION = "depot.wsgi.application"

if "APP" in os.environ:
    INSTALLED_APPS += [os.environ["APP"]]

TACHIKOMA_METRICS: dict[str, object] = {}
if "STORE_DIR" in os.environ:
    TACHIKOMA_METRICS["STORE_DIR"] = os.environ["STORE_DIR"]
if "KEEP_TOTALS" in os.environ:
    TACHIKOMA_METRICS["KEEP_TOTALS"] = float(os.environ["KEEP_TOTALS"])
if "ZERO_STATUSES" in os.environ:
    TACHIKOMA_METRICS["ZERO_STATUSES"] = [int(one) for one in os.environ["ZERO_STATUSES"].split()]
if "EXTRA_METRICS" in os.environ:
    TACHIKOMA_METRICS["EXTRA_METRICS"] = os.environ["EXTRA_METRICS"].split()
if "ALLOWED_NETWORKS" in os.environ:
    TACHIKOMA_METRICS["ALLOWED_NETWORKS"] = os.environ["ALLOWED_NETWORKS"].split()
if "EXEMPLARS" in os.environ:
    TACHIKOMA_METRICS["EXEMPLARS"] = os.environ["EXEMPLARS"]
if "OTLP" in os.environ:
    TACHIKOMA_METRICS["OTLP"] = True
if "VIEWS" in os.environ:
    TACHIKOMA_METRICS["VIEWS"] = os.environ["VIEWS"].split()
if "COMMANDS" in os.environ:
    TACHIKOMA_METRICS["COMMANDS"] = os.environ["COMMANDS"].split()
if "WORKER_PORT" in os.environ:
    TACHIKOMA_METRICS["WORKER_PORT"] = int(os.environ["WORKER_PORT"])
if "BUSINESS_INTERVAL" in os.environ:
    INSTALLED_APPS += ["django.contrib.contenttypes", "django.contrib.auth"]
    TACHIKOMA_METRICS |= {
        "BUSINESS_INTERVAL": float(os.environ["BUSINESS_INTERVAL"]),
        "BUSINESS_MAX_AGE": float(os.environ.get("BUSINESS_MAX_AGE", "60")),
        "BUSINESS_METRICS": {
            "users": {"model": "auth.User", "labels": {"active": "is_active"}},
            "groups": {"model": "auth.Group"},
        },
    }

if "TASK_BACKEND" in os.environ:
    INSTALLED_APPS += [os.environ["TASK_BACKEND"].partition(".")[0]]
    TASKS = {"default": {"BACKEND": os.environ["TASK_BACKEND"], "QUEUES": []}}

if "BEAT_SCHEDULE" in os.environ:
    CELERY_BEAT_SCHEDULE = json.loads(os.environ["BEAT_SCHEDULE"])

if "CACHES" in os.environ:
    CACHES = json.loads(os.environ["CACHES"])

CELERY_BROKER_URL = os.environ.get("BROKER", "redis://127.0.0.1:6379/0")
CELERY_TASK_DEFAULT_QUEUE = os.environ.get("QUEUE", "celery")
CELERY_TASK_IGNORE_RESULT = "RESULTS" not in os.environ
CELERY_RESULT_BACKEND = os.environ.get("RESULTS")

if "SQLITE" in os.environ:
    file = {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["SQLITE"]}
    DATABASES: dict[str, dict[str, object]] = {"default": {**file}}

if "POSTGRESQL_PORT" in os.environ:
    DATABASES = {
        "default": {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": os.environ.get("POSTGRESQL_NAME", "postgres"),
            "USER": "postgres",
            "HOST": "127.0.0.1",
            "PORT": os.environ["POSTGRESQL_PORT"],
            "CONN_MAX_AGE": 60,
            "OPTIONS": {"application_name": os.environ.get("APPLICATION_NAME", "depot")},
        }
    }
    if "POOL_SIZE" in os.environ:
        size = int(os.environ["POOL_SIZE"])
        DATABASES["default"] |= {
            "CONN_MAX_AGE": 0,
            "OPTIONS": {"pool": {"min_size": 1, "max_size": size, "timeout": 30}},
        }
