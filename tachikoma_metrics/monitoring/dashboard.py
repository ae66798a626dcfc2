"""The dashboard in the JSON model of Grafana.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from itertools import count
from typing import Any

from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring import panel_options
from tachikoma_metrics.monitoring.dashboard_rows import dashboard_rows
from tachikoma_metrics.monitoring.metric_names import MetricNames, NotMeasured
from tachikoma_metrics.monitoring.native_queries import queried_natively
from tachikoma_metrics.monitoring.panels import Panel, Query, Row

SCHEMA_VERSION = 39
"""The schema version of Grafana 10.4; later versions migrate it."""

COLUMNS = 24
UID = "tachikoma-metrics"

_SERVICE_METRICS = ("tachikoma_metrics_info", "tachikoma_metrics_processes", "up")
"""Metrics that every service has; the first that is on lists the services."""

_HEIGHTS = {"stat": 4, "timeseries": 8, "heatmap": 8}


def dashboard(
    config: Config,
    title: str = "Django service",
    unused: Collection[str] = (),
    *,
    is_native: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Return a dashboard that matches ``config``, and the reason for each panel left out.

    A panel is left out if the settings switch off one of its metrics, or if that is among the
    names of ``unused`` ones. ``is_native`` makes panels of native histograms.
    """
    names = MetricNames(
        config,
        {label: f'=~"${label}"' for label in _variable_labels(config)},
        queried_natively(config) if is_native else frozenset(),
    )
    ids = count(1)
    left_out: list[str] = []
    panels: list[dict[str, Any]] = []
    y = 0
    for row in dashboard_rows(config):
        shown = list(_panels(row, names, unused, left_out))
        if shown:
            row_panels, height = _row(row, shown, ids, y)
            panels += row_panels
            y += height
    return _dashboard(config, title, panels), left_out


def _variable_labels(config: Config) -> list[str]:
    """Return the labels that have a variable; ``datasource`` is the data source's variable."""
    service = MetricNames(config).service_labels
    return [*(label for label in service if label != "datasource"), "instance"]


def _panels(
    row: Row, names: MetricNames, unused: Collection[str], left_out: list[str]
) -> Iterator[tuple[Panel, list[dict[str, Any]]]]:
    """Yield the panels of a row whose metrics are measured, with their targets."""
    for panel in row.panels:
        try:
            _require_use(panel, names, unused)
            targets = [_target(*numbered, panel, names) for numbered in enumerate(panel.queries)]
        except NotMeasured as reason:
            left_out.append(f"{row.title}: {panel.title}: {reason}.")
        else:
            yield panel, targets


def _require_use(panel: Panel, names: MetricNames, unused: Collection[str]) -> None:
    named = set().union(*(names.named(query.expression) for query in panel.queries))
    for name in sorted(named.intersection(unused)):
        raise NotMeasured(f"nothing in the project records `{name}`")


def _datasource() -> dict[str, Any]:
    return {"type": "prometheus", "uid": "${datasource}"}


def _target(number: int, query: Query, panel: Panel, names: MetricNames) -> dict[str, Any]:
    exemplar = {"exemplar": True} if names.has_exemplars(query.expression) else {}
    return {
        **exemplar,
        "datasource": _datasource(),
        "expr": names.translate(query.expression),
        "format": _format(query, panel, names),
        "legendFormat": names.legend(query.legend, query.expression) or "__auto",
        "refId": "ABCDEFGH"[number],
    }


def _format(query: Query, panel: Panel, names: MetricNames) -> str:
    """Return how Grafana reads an answer: as series that are the rows of a heat map, or as it is.

    As ``heatmap``, releases before 10.3 do not show native histograms:
    https://github.com/grafana/grafana/pull/77289
    """
    has_rows = panel.kind == "heatmap" and not names.is_native(query.expression)
    return "heatmap" if has_rows else "time_series"


def _row(
    row: Row, shown: list[tuple[Panel, list[dict[str, Any]]]], ids: Iterator[int], y: int
) -> tuple[list[dict[str, Any]], int]:
    """Return a row and its panels, from line ``y`` on, and their height in lines."""
    head = {
        "collapsed": not row.is_expanded,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
        "id": next(ids),
        "title": row.title,
        "type": "row",
    }
    placed = list(_placed(shown, y + 1))
    panels = [_panel(panel, targets, next(ids), place) for panel, targets, place in placed]
    if row.is_expanded:
        bottom = max(place["y"] + place["h"] for _, _, place in placed)
        return [{**head, "panels": []}, *panels], bottom - y
    # The panels of a collapsed row are nested in it, and take no space.
    return [{**head, "panels": panels}], 1


def _placed(
    shown: Iterable[tuple[Panel, list[dict[str, Any]]]], y: int
) -> Iterator[tuple[Panel, list[dict[str, Any]], dict[str, int]]]:
    """Yield the panels with their positions, from left to right and from line ``y`` on."""
    x = height = 0
    for panel, targets in shown:
        if x + panel.width > COLUMNS:
            x, y, height = 0, y + height, 0
        panel_height = _HEIGHTS[panel.kind]
        yield panel, targets, {"h": panel_height, "w": panel.width, "x": x, "y": y}
        x += panel.width
        height = max(height, panel_height)


def _panel(
    panel: Panel, targets: list[dict[str, Any]], id: int, place: dict[str, int]
) -> dict[str, Any]:
    return {
        "datasource": _datasource(),
        "description": panel.description,
        "fieldConfig": {"defaults": panel_options.field_defaults(panel), "overrides": []},
        "gridPos": place,
        "id": id,
        "options": panel_options.options(panel),
        "targets": targets,
        "title": panel.title,
        "type": panel.kind,
    }


def _dashboard(config: Config, title: str, panels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "annotations": {"list": []},
        "description": "Metrics of tachikoma_metrics. Generated by manage.py metrics_dashboard.",
        "editable": True,
        "graphTooltip": 1,
        "links": [],
        "panels": panels,
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["django", "tachikoma_metrics"],
        "templating": {"list": list(_variables(config))},
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "title": title,
        "uid": UID,
        "version": 1,
    }


def _variables(config: Config) -> Iterator[dict[str, Any]]:
    yield {
        "current": {"text": "default", "value": "default"},
        "label": "Data source",
        "name": "datasource",
        "query": "prometheus",
        "type": "datasource",
    }
    # The values are those of services that tachikoma_metrics instruments.
    matchers = ""
    metric = next(name for name in _SERVICE_METRICS if name in MetricNames(config).families)
    for name in _variable_labels(config):
        yield _variable(name, metric, matchers)
        matchers += f'{"," if matchers else ""}{name}=~"${name}"'


def _variable(label: str, metric: str, matchers: str) -> dict[str, Any]:
    series = f"{metric}{{{matchers}}}" if matchers else metric
    query = f"label_values({series}, {label})"
    variable: dict[str, Any] = {
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "datasource": _datasource(),
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
    # instances, a pattern that matches any is shorter than their list.
    return {**variable, "allValue": ".*"} if label == "instance" else variable
