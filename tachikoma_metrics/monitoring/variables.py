"""The variables of the dashboard: the data source, and labels whose values a viewer chooses.

https://grafana.com/docs/grafana/latest/dashboards/variables/
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.metric_names import MetricNames

_SERVICE_METRICS = ("tachikoma_metrics_info", "tachikoma_metrics_processes", "up")
"""Metrics that every service has; the first that is on lists the services."""

_ROUTE_METRIC = "http_requests_total"
"""The metric whose labels select routes."""


def datasource() -> dict[str, Any]:
    """Return the data source of a query: that of the variable."""
    return {"type": "prometheus", "uid": "${datasource}"}


def variable_labels(config: Config) -> list[str]:
    """Return the labels that have a variable; ``datasource`` is the data source's variable."""
    service = MetricNames(config).service_labels
    return [*(label for label in service if label != "datasource"), "instance"]


def route_labels(config: Config) -> list[str]:
    """Return the labels of HTTP metrics that have a variable."""
    family = MetricNames(config).families.get(_ROUTE_METRIC)
    if family is None:
        return []
    path = "path" if "path" in family.labels else "view"
    taken = [*variable_labels(config), "datasource"]
    return [label for label in ("method", path) if label in family.labels and label not in taken]


def variables(config: Config, selected_datasource: str) -> Iterator[dict[str, Any]]:
    """Yield the variables: the data source, then the labels, each of which narrows the next."""
    yield {
        "current": {"text": selected_datasource, "value": selected_datasource},
        "label": "Data source",
        "name": "datasource",
        "query": "prometheus",
        "type": "datasource",
    }
    # The values are those of services that tachikoma_metrics instruments.
    matchers = ""
    metric = next(name for name in _SERVICE_METRICS if name in MetricNames(config).families)
    for name in variable_labels(config):
        yield _variable(name, metric, matchers)
        matchers += f'{"," if matchers else ""}{name}=~"${name}"'
    for name in route_labels(config):
        yield _variable(name, MetricNames(config).families[_ROUTE_METRIC].name, matchers)


def _variable(label: str, metric: str, matchers: str) -> dict[str, Any]:
    series = f"{metric}{{{matchers}}}" if matchers else metric
    query = f"label_values({series}, {label})"
    variable: dict[str, Any] = {
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": datasource(),
        "includeAll": True,
        "label": label.replace("_", " ").capitalize(),
        "multi": True,
        "name": label,
        "query": {"qryType": 1, "query": query, "refId": label},
        "refresh": 2,
        "sort": 1,
        "type": "query",
    }
    # "All" jobs are those of the list, since other exporters have process metrics, too. For
    # instances and routes, a pattern that matches any is shorter than their list.
    is_any = label in ("instance", "method", "path", "view")
    return {**variable, "allValue": ".*"} if is_any else variable
