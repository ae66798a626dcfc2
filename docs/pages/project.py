"""A minimal Django project, for what needs loaded apps."""

from __future__ import annotations

import django
from django.conf import settings


def set_up() -> None:
    """Set Django up, unless it is; every key of ``TACHIKOMA_METRICS`` has its default."""
    if settings.configured:
        return
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["tachikoma_metrics"],
        MIDDLEWARE=["tachikoma_metrics.middleware.MetricsMiddleware"],
        # The values of this process are not shared.
        TACHIKOMA_METRICS={"STORE_DIR": None},
        USE_TZ=True,
    )
    django.setup()
