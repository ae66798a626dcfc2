from __future__ import annotations

from pathlib import Path

HOME = Path(__file__).resolve().parent.parent
SECRET_KEY = "guards nothing"
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "shop",
    "tachikoma_metrics",
]
MIDDLEWARE = [
    "tachikoma_metrics.middleware.MetricsMiddleware",
    "django.middleware.common.CommonMiddleware",
]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
DATABASES = {
    alias: {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": HOME / f"{alias}.sqlite3",
        "OPTIONS": {"timeout": 20},
    }
    for alias in ("default", "archive")
}
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": HOME / "cache",
    },
    "down": {"BACKEND": "shop.caches.Down"},
}
TACHIKOMA_METRICS = {
    "VIEWS": ["django-prometheus"],
    "EXTRA_METRICS": [
        "http_responses_by_template_total",
        "migrations_applied",
        "migrations_unapplied",
    ],
    "STORE_DIR": str(HOME / "store"),
}
