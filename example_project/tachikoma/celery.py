"""The Celery app; its broker is a folder unless ``CELERY_BROKER_URL`` is set.

Redis (``redis://127.0.0.1:6379/0``) and RabbitMQ (``amqp://guest:guest@127.0.0.1:5672//``) are
supported:

    celery --app tachikoma worker --beat
"""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from kombu.transport import TRANSPORT_ALIASES

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tachikoma.settings")

TRANSPORT_ALIASES["folder"] = "tachikoma.folder_broker:Transport"

app = Celery("tachikoma")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect  # type: ignore[untyped-decorator]  # Celery has no types.
def schedule(**kwargs: Any) -> None:
    """Schedule the refresh of business metrics, once the settings can be read."""
    from tachikoma_metrics.celery import beat_schedule

    app.conf.beat_schedule = {**app.conf.beat_schedule, **beat_schedule()}
