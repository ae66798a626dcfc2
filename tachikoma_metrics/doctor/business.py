"""Whether the business metrics are fresh."""

from __future__ import annotations

import time
from collections.abc import Iterator

from tachikoma_metrics import business, conf
from tachikoma_metrics.doctor.exposition import Samples, total
from tachikoma_metrics.doctor.findings import ERROR, OK, WARNING, Finding, counted

CHECK = "business-metrics"

_REFRESH = "Run `manage.py refresh_business_metrics --every 30`, or Celery beat and a worker."


def of_business_metrics(samples: Samples) -> Iterator[Finding]:
    """Yield whether the business metrics are fresh; nothing if there are none."""
    config = conf.config()
    if not config.has_business_metrics:
        return
    age = time.time() - total(samples, "tachikoma_metrics_business_timestamp_seconds")
    failed = total(samples, "tachikoma_metrics_business_refresh_errors")
    is_up = bool(total(samples, "tachikoma_metrics_business_up"))
    if not is_up and business.lacks_table() is not None:
        message = "The database lacks the table for the business metrics."
        yield Finding(CHECK, ERROR, message, "Run `manage.py migrate`.")
    elif age > config.business_lifetime:
        message = "The business metrics are stale, or were never refreshed."
        yield Finding(CHECK, ERROR, message, f"{_REFRESH} Before the first: `manage.py migrate`.")
    elif failed:
        message = f"{counted(failed, 'business metric')} could not be counted."
        hint = "Run `manage.py refresh_business_metrics`, which reports why."
        yield Finding(CHECK, ERROR, message, hint)
    elif not is_up:
        message = "The business metrics cannot be read; the endpoint serves the last copy."
        yield Finding(CHECK, WARNING, message, "Check that the database responds.")
    else:
        yield Finding(CHECK, OK, f"The business metrics are {counted(age, 'second')} old.")
