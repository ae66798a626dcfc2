from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "depot.settings")
app = Celery("depot")
app.config_from_object("django.conf:settings", namespace="CELERY")
if "PACKAGES_WITH_TASKS" in os.environ:
    app.autodiscover_tasks(os.environ["PACKAGES_WITH_TASKS"].split(","))
else:
    app.autodiscover_tasks()


@app.on_after_configure.connect  # type: ignore[untyped-decorator]
def _schedule(**kwargs: object) -> None:
    from tachikoma_metrics.celery import beat_schedule

    app.conf.beat_schedule = {**app.conf.beat_schedule, **beat_schedule()}
