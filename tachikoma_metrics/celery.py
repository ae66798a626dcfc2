"""The entry for Celery beat that refreshes the business metrics.

Tasks are measured by ``task_runs``.
"""

from __future__ import annotations

from typing import Any

from tachikoma_metrics import conf

TASK = "tachikoma_metrics.tasks.refresh_business_metrics"

_ELSEWHERE = (
    "where the Celery app is made: "
    "`app.conf.beat_schedule = {**app.conf.beat_schedule, **beat_schedule()}`"
)


def beat_schedule() -> dict[str, dict[str, Any]]:
    """Return the entry for ``beat_schedule`` that refreshes the business counts.

    One task each ``BUSINESS_INTERVAL``; it expires with it, so that a worker that was away
    does not make up for what nobody waits for any more
    (https://docs.celeryq.dev/en/stable/userguide/calling.html#expiration). In the module that
    makes the Celery app, whose other entries stay::

        app.conf.beat_schedule = {**app.conf.beat_schedule, **beat_schedule()}

    In a settings module it is called below ``TACHIKOMA_METRICS``. Raises ImproperlyConfigured
    above it, where the interval is not known yet.
    """
    interval = conf.complete_config("beat_schedule()", _ELSEWHERE).business_interval
    return {
        "tachikoma_metrics: refresh business metrics": {
            "task": TASK,
            "schedule": interval,
            # django-celery-beat has another name for it, and each passes over the other's.
            "options": {"expires": interval, "expire_seconds": interval},
        }
    }


def options() -> dict[str, Any]:
    """Return how a refresh is sent: so that it expires in ``BUSINESS_INTERVAL`` seconds."""
    return {"expires": conf.config().business_interval}
