"""The schedule on which Celery refreshes the business metrics."""

from __future__ import annotations

from typing import Any

from tachikoma_metrics import conf

TASK = "tachikoma_metrics.tasks.refresh_business_metrics"

_ELSEWHERE = (
    "where the Celery app is made: "
    "`app.conf.beat_schedule = {**app.conf.beat_schedule, **beat_schedule()}`"
)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Return the entry for ``beat_schedule`` that refreshes the business metrics.

    It sends one task each ``BUSINESS_INTERVAL``, which expires after it, so that a worker that was
    stopped does not run all tasks that it missed
    (https://docs.celeryq.dev/en/stable/userguide/calling.html#expiration). In the module that
    makes the Celery app, whose other entries stay::

        app.conf.beat_schedule = {**app.conf.beat_schedule, **beat_schedule()}

    In a settings module, call it below ``TACHIKOMA_METRICS``. Above it, where the interval is not
    known yet, it raises ImproperlyConfigured.
    """
    interval = conf.complete_config("beat_schedule()", _ELSEWHERE).business_interval
    return {
        "tachikoma_metrics: refresh business metrics": {
            "task": TASK,
            "schedule": interval,
            # django-celery-beat has another name for the option; each ignores that of the other.
            "options": {"expires": interval, "expire_seconds": interval},
        }
    }


def options() -> dict[str, Any]:
    """Return the options with which a refresh is sent: it expires after ``BUSINESS_INTERVAL``."""
    return {"expires": conf.config().business_interval}
