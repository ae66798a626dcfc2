"""The least of a Django project, for what can only be asked of one that is set up."""

from __future__ import annotations

import django
from django.conf import settings


def set_up() -> None:
    """Set Django up, unless it is; every setting of ours has its default."""
    if settings.configured:
        return
    settings.configure(
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        INSTALLED_APPS=["tachikoma_metrics"],
        MIDDLEWARE=["tachikoma_metrics.middleware.MetricsMiddleware"],
        # Values of this process alone: nobody looks at them.
        TACHIKOMA_METRICS={"STORE_DIR": None},
        USE_TZ=True,
    )
    django.setup()
