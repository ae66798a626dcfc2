"""The rules as Prometheus reads them: one file of groups.

https://prometheus.io/docs/prometheus/latest/configuration/recording_rules/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from tachikoma_metrics import catalogue
from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.alerts import Alert, alerts
from tachikoma_metrics.monitoring.dialect import Dialect, NotMeasured, quoted, recorded_names
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.recordings import (
    SECONDS_BETWEEN_EVALUATIONS,
    Recording,
    of_availability,
    of_routes,
)

RUNBOOKS = "https://tachikoma-metrics.readthedocs.io/en/stable/reference/alerts.html"
"""Where the runbook is, a section for each alert."""


def rule_file(
    config: Config,
    objectives: Objectives | None = None,
    *,
    job: str = "",
    runbooks: str = RUNBOOKS,
) -> tuple[dict[str, Any], list[str]]:
    """Return the rules in the names of ``config``, and what they leave out, and why.

    ``job`` restricts them to one job of Prometheus; ``runbooks`` is the address of the runbook.
    """
    rules = _Rules(Dialect(config, {"job": f"={quoted(job)}"} if job else {}))
    groups = {
        "availability": list(rules.recorded(of_availability())),
        "routes": list(rules.recorded(of_routes())),
        "alerts": list(rules.alerting(alerts(config, objectives or Objectives()), runbooks)),
    }
    interval = f"{SECONDS_BETWEEN_EVALUATIONS}s"
    return {
        "groups": [
            {"name": f"tachikoma_metrics_{name}", "interval": interval, "rules": group}
            for name, group in groups.items()
            if group
        ]
    }, rules.left_out


class _Rules:
    """Say rules one after the other, and remember what cannot be said."""

    def __init__(self, dialect: Dialect) -> None:
        self.left_out: list[str] = []
        self._dialect = dialect
        self._unrecorded: set[str] = set()

    def recorded(self, recordings: Iterable[Recording]) -> Iterator[dict[str, Any]]:
        """Yield recording rules."""
        for recording in recordings:
            said = self._say(recording.name, recording.expression, exactly=True)
            if said is None:
                self._unrecorded.add(recording.name)
            else:
                yield {"record": self._dialect.recorded(recording.name), "expr": said}

    def alerting(self, alerts: Iterable[Alert], runbooks: str) -> Iterator[dict[str, Any]]:
        """Yield alerting rules."""
        for alert in alerts:
            said = self._say(alert.name, alert.expression)
            if said is not None:
                yield {
                    "alert": alert.name,
                    "expr": said,
                    "for": alert.after,
                    "labels": {"severity": alert.severity, **dict(alert.labels)},
                    "annotations": {
                        "summary": alert.summary,
                        "description": alert.runbook.meaning,
                        "runbook_url": f"{runbooks}#{alert.name.lower()}",
                    },
                }

    def _of_ours(self, expression: str) -> str:
        """Keep to jobs that have our page: others may have metrics of the same names."""
        if recorded_names(expression):
            return expression
        families = (catalogue.FAMILIES.get(name) for name in self._dialect.named(expression))
        is_ours_alone = all(family is None or family.is_own_health for family in families)
        if is_ours_alone or catalogue.INFO.name not in self._dialect.families:
            return expression
        return f"{expression}\nand on (job) {catalogue.INFO.name}"

    def _say(self, name: str, expression: str, *, exactly: bool = False) -> str | None:
        missing = self._unrecorded & set(recorded_names(expression))
        if missing:
            self.left_out.append(f"{name}: `{min(missing)}` is left out.")
            return None
        try:
            return self._dialect.say(self._of_ours(expression), exactly=exactly)
        except NotMeasured as reason:
            self.left_out.append(f"{name}: {reason}.")
            return None
