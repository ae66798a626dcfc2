"""The alerts and their runbooks, as data, in a module for each subject.

Expressions use the metric names of the catalogue; ``<service>`` stands for the labels that
identify a service. Alerts of severity ``page`` are about symptoms that users notice; all others
are tickets. https://sre.google/workbook/alerting-on-slos/
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.alerts.alert import Alert, Severity
from tachikoma_metrics.monitoring.alerts.business import business_alerts
from tachikoma_metrics.monitoring.alerts.database import database_alerts
from tachikoma_metrics.monitoring.alerts.http import http_alerts, slow_bound
from tachikoma_metrics.monitoring.alerts.instrumentation import instrumentation_alerts
from tachikoma_metrics.monitoring.alerts.push import PUSH_ALERTS
from tachikoma_metrics.monitoring.alerts.schedules import schedule_alerts
from tachikoma_metrics.monitoring.alerts.tasks import task_alerts
from tachikoma_metrics.monitoring.alerts.upstream import UPSTREAM_ALERTS
from tachikoma_metrics.monitoring.objectives import Objectives

__all__ = ["Alert", "Severity", "alerts", "slow_bound"]


def alerts(config: Config, objectives: Objectives, native: Collection[str] = ()) -> Iterator[Alert]:
    """Yield all alerts; the histograms of ``native`` have native buckets in Prometheus."""
    yield from http_alerts(config, objectives, native)
    yield from database_alerts(config, objectives, native)
    yield from task_alerts(config, objectives, native)
    yield from schedule_alerts(objectives)
    yield from UPSTREAM_ALERTS
    yield from business_alerts(config)
    yield from instrumentation_alerts(config)
    yield from PUSH_ALERTS
