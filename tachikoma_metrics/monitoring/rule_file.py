"""The recording and alerting rules as a file for Prometheus.

https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.alerts import Alert, Severity, alerts
from tachikoma_metrics.monitoring.metric_names import (
    MetricNames,
    NotMeasured,
    quoted,
    recorded_names,
)
from tachikoma_metrics.monitoring.native_queries import queried_natively
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.recording_rules import (
    EVALUATION_INTERVAL,
    RecordingRule,
    availability_rules,
    route_rules,
    task_rules,
)

RUNBOOKS = "https://tachikoma-metrics.readthedocs.io/en/stable/reference/alerts.html"
"""The URL of the runbooks, with a section for each alert."""


def rule_file(
    config: Config,
    objectives: Objectives | None = None,
    *,
    job: str = "",
    runbooks: str = RUNBOOKS,
    dashboard_url: str = "",
    severities: Mapping[Severity, str] | None = None,
    is_native: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Return the rules that match ``config``, and the reason for each rule that is left out.

    ``job`` restricts them to one job of Prometheus; ``runbooks`` is the URL of the runbooks, and
    ``dashboard_url`` that of the dashboard, if alerts are to link to it. ``severities`` are other
    names for ``page`` and ``ticket``. ``is_native`` makes rules about native histograms.
    """
    native = queried_natively(config) if is_native else frozenset()
    rules = _Rules(MetricNames(config, {"job": f"={quoted(job)}"} if job else {}, native))
    alerting = alerts(config, objectives or Objectives(), native)
    groups = {
        "availability": list(rules.recording(availability_rules())),
        "routes": list(rules.recording(route_rules())),
        "tasks": list(rules.recording(task_rules())),
        "alerts": [
            _alerting_rule(alert, expression, runbooks, dashboard_url, severities or {})
            for alert, expression in rules.alerting(alerting)
        ],
    }
    interval = f"{EVALUATION_INTERVAL}s"
    return {
        "groups": [
            {"name": f"tachikoma_metrics_{name}", "interval": interval, "rules": group}
            for name, group in groups.items()
            if group
        ]
    }, rules.left_out


class _Rules:
    """Translate rules in their order, and collect the reasons for those that are left out."""

    def __init__(self, names: MetricNames) -> None:
        self.left_out: list[str] = []
        self._names = names
        self._unrecorded: set[str] = set()

    def recording(self, rules: Iterable[RecordingRule]) -> Iterator[dict[str, Any]]:
        """Yield recording rules."""
        for rule in rules:
            expression = self._translate(rule.name, rule.expression, exactly=True)
            if expression is None:
                self._unrecorded.add(rule.name)
            else:
                yield {"record": self._names.recorded(rule.name), "expr": expression}

    def alerting(self, alerts: Iterable[Alert]) -> Iterator[tuple[Alert, str]]:
        """Yield the alerts whose metrics are measured, and their expressions."""
        for alert in alerts:
            expression = self._translate(alert.name, alert.expression)
            if expression is not None:
                yield alert, expression

    def _translate(self, name: str, expression: str, *, exactly: bool = False) -> str | None:
        missing = self._unrecorded & set(recorded_names(expression))
        if missing:
            self.left_out.append(f"{name}: `{min(missing)}` is left out.")
            return None
        try:
            return self._names.translate(
                self._restricted_to_instrumented_jobs(expression), exactly=exactly
            )
        except NotMeasured as reason:
            self.left_out.append(f"{name}: {reason}.")
            return None

    def _restricted_to_instrumented_jobs(self, expression: str) -> str:
        """Restrict an expression to the jobs that tachikoma_metrics instruments.

        Other exporters may use the same metric names.
        """
        if recorded_names(expression):
            return expression
        named = self._names.named(expression)
        families = map(catalogue.FAMILIES.get, named)
        has_own_names = all(family is None or family.is_own_health for family in families)
        is_restricted = catalogue.INFO.name in named
        if has_own_names or is_restricted or catalogue.INFO.name not in self._names.families:
            return expression
        if "\nor " in expression:
            # `and` binds tighter.
            expression = f"({expression})"
        return f"{expression}\nand on (job) {catalogue.INFO.name}"


def _alerting_rule(
    alert: Alert,
    expression: str,
    runbooks: str,
    dashboard_url: str,
    severities: Mapping[Severity, str],
) -> dict[str, Any]:
    severity = severities.get(alert.severity, alert.severity)
    return {
        "alert": alert.name,
        "expr": expression,
        "for": alert.pending,
        "labels": {"severity": severity, **dict(alert.labels)},
        "annotations": {
            "summary": alert.summary,
            "description": alert.runbook.meaning,
            "runbook_url": f"{runbooks}#{alert.name.lower()}",
            **({"dashboard_url": _of_job(dashboard_url)} if dashboard_url else {}),
        },
    }


def _of_job(dashboard_url: str) -> str:
    """Return the URL of the dashboard with the job of an alert selected, as a template.

    https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/create-dashboard-url-variables/
    """
    separator = "&" if "?" in dashboard_url else "?"
    return f"{dashboard_url}{separator}var-job={{{{ $labels.job | urlquery }}}}"
