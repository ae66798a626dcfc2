"""The dashboard and the rules of a service with all metrics of the catalogue, and the runbooks."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cache
from itertools import groupby

from pages import markdown
from tachikoma_metrics import catalogue, conf, monitoring
from tachikoma_metrics.monitoring import recording_rules
from tachikoma_metrics.monitoring.alerts import Alert, alerts
from tachikoma_metrics.monitoring.dashboard_rows import dashboard_rows
from tachikoma_metrics.monitoring.metric_names import recorded_names
from tachikoma_metrics.monitoring.panels import Panel

USUAL = conf.read(
    {
        "BUSINESS_METRICS": {
            "missions_total": {"model": "missions.Mission"},
            "specs_total": {"model": "missions.Spec", "labels": {"status": "status"}},
        }
    }
)
"""The settings of a service that has the metrics of the catalogue, and no others."""

_OBJECTIVES = monitoring.Objectives(commands={"clearsessions": 90_000})
"""Those of a service that has every alert: one of them is about commands that an option names."""

_NAMES = monitoring.MetricNames(USUAL)


def dashboard() -> str:
    """Return the dashboard."""
    board, _ = monitoring.dashboard(USUAL)
    return json.dumps(board, indent=2) + "\n"


def rules() -> str:
    """Return the file of rules."""
    made, _ = monitoring.rule_file(USUAL)
    return monitoring.as_yaml(made)


def runbook() -> str:
    """Return the page of all alerts, with the expressions of the rule file."""
    made, _ = monitoring.rule_file(USUAL, _OBJECTIVES)
    rules = [rule for group in made["groups"] for rule in group["rules"]]
    alerting = iter([rule["expr"] for rule in rules if "alert" in rule])
    return markdown.page(
        "# Alerts",
        markdown.NOTICE,
        "What the alerts of [`manage.py metrics_rules`](commands.md#metrics_rules) mean, and what "
        "to do. Alerts of severity `page` are user-visible; a `ticket` can wait until morning. "
        "Names in *italics* are panels of [the dashboard](../guides/dashboards.md).",
        *(part for name, of_name in _by_name() for part in _section(name, of_name, alerting)),
        "## Recording rules",
        "Series that the alerts use, summed over all instances. Queries over long ranges of them "
        "are fast.",
        *(f"`{rule['record']}`\n\n{_promql(rule['expr'])}" for rule in rules if "record" in rule),
    )


def _by_name() -> Iterator[tuple[str, list[Alert]]]:
    for name, of_name in groupby(_alerts(), key=lambda alert: alert.name):
        yield name, list(of_name)


def _alerts() -> Iterator[Alert]:
    return alerts(USUAL, _OBJECTIVES)


def _recording_rules() -> list[recording_rules.RecordingRule]:
    return [
        *recording_rules.availability_rules(),
        *recording_rules.route_rules(),
        *recording_rules.task_rules(),
    ]


def _section(name: str, of_name: list[Alert], expressions: Iterator[str]) -> Iterator[str]:
    first = of_name[0]
    yield f"## {name}"
    yield first.runbook.meaning
    yield "\n".join(f"{number}. {step}" for number, step in enumerate(first.runbook.steps, 1))
    for alert in of_name:
        yield f"Severity `{alert.severity}`, for {alert.pending}:"
        yield _promql(next(expressions))
    named = sorted(families_of(first.expression))
    yield f"Metrics: {', '.join(f'[`{one}`](metrics.md#{one})' for one in named)}."


def _promql(expression: str) -> str:
    return f"```promql\n{expression}\n```"


def families_of(expression: str) -> set[str]:
    """Return the metrics of the catalogue in an expression and in the rules that it uses."""
    recorded = {one.name: one.expression for one in _recording_rules()}
    used = [recorded[name] for name in recorded_names(expression)]
    found = _NAMES.named(expression) & set(catalogue.FAMILIES)
    return found.union(*map(families_of, used))


def alerts_about(family_name: str) -> list[str]:
    """Return links to the alerts about a metric."""
    return [
        f"[{name}](alerts.md#{name.lower()})"
        for name, of_name in _by_name()
        if family_name in families_of(of_name[0].expression)
    ]


def rows_with(family_name: str) -> list[str]:
    """Return the titles of the dashboard's rows that have a panel of a metric."""
    return [f"*{title}*" for title, names in _families_of_rows() if family_name in names]


@cache
def _families_of_rows() -> list[tuple[str, set[str]]]:
    return [(row.title, _shown_in(row.panels)) for row in dashboard_rows(USUAL)]


def _shown_in(panels: Iterable[Panel]) -> set[str]:
    queries = [query for panel in panels for query in panel.queries]
    return set().union(*(families_of(query.expression) for query in queries))
