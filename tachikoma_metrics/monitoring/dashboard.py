"""The dashboard as Grafana reads it: one JSON object.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count
from typing import Any

from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring import drawing
from tachikoma_metrics.monitoring.dialect import Dialect, NotMeasured
from tachikoma_metrics.monitoring.panels import Panel, Query, Row
from tachikoma_metrics.monitoring.rows import rows

SCHEMA_VERSION = 39
"""That of Grafana 10.4, which later ones migrate from."""

COLUMNS = 24
UID = "tachikoma-metrics"

_ALWAYS_THERE = ("tachikoma_metrics_info", "tachikoma_metrics_processes", "up")
"""Families that tell which services there are; the first unless it is switched off."""

_HEIGHTS = {"stat": 4, "timeseries": 8, "heatmap": 8}


def dashboard(config: Config, title: str = "Django service") -> tuple[dict[str, Any], list[str]]:
    """Return a dashboard in the names of ``config``, and what it leaves out, and why.

    A panel is left out if the settings leave out what it shows.
    """
    dialect = Dialect(config, {label: f'=~"${label}"' for label in _chosen(config)})
    ids = count(1)
    left_out: list[str] = []
    panels: list[dict[str, Any]] = []
    y = 0
    for row in rows(config):
        shown = list(_panels(row, dialect, left_out))
        if shown:
            drawn, height = _row(row, shown, ids, y)
            panels += drawn
            y += height
    return _dashboard(config, title, panels), left_out


def _chosen(config: Config) -> list[str]:
    """Return the labels that one chooses; the variable of the data source has its own name."""
    service = Dialect(config).service_labels
    return [*(label for label in service if label != "datasource"), "instance"]


def _panels(
    row: Row, dialect: Dialect, left_out: list[str]
) -> Iterator[tuple[Panel, list[dict[str, Any]]]]:
    """Yield the panels of a row that can be shown, with their targets."""
    for panel in row.panels:
        try:
            yield (
                panel,
                [_target(*numbered, panel, dialect) for numbered in enumerate(panel.queries)],
            )
        except NotMeasured as reason:
            left_out.append(f"{row.title}: {panel.title}: {reason}.")


def _datasource() -> dict[str, Any]:
    return {"type": "prometheus", "uid": "${datasource}"}


def _target(number: int, query: Query, panel: Panel, dialect: Dialect) -> dict[str, Any]:
    return {
        "datasource": _datasource(),
        "expr": dialect.say(query.expression),
        "format": "heatmap" if panel.kind == "heatmap" else "time_series",
        "legendFormat": dialect.legend(query.legend, query.expression) or "__auto",
        "refId": "ABCDEFGH"[number],
    }


def _row(
    row: Row, shown: list[tuple[Panel, list[dict[str, Any]]]], ids: Iterator[int], y: int
) -> tuple[list[dict[str, Any]], int]:
    """Return what draws a row from line ``y`` on, and how many lines that are."""
    head = {
        "collapsed": not row.is_open,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
        "id": next(ids),
        "title": row.title,
        "type": "row",
    }
    placed = list(_placed(shown, y + 1))
    drawn = [_drawn(panel, targets, next(ids), place) for panel, targets, place in placed]
    if row.is_open:
        bottom = max(place["y"] + place["h"] for _, _, place in placed)
        return [{**head, "panels": []}, *drawn], bottom - y
    # The panels of a row that is closed are in it, and take no room yet.
    return [{**head, "panels": drawn}], 1


def _placed(
    shown: Iterable[tuple[Panel, list[dict[str, Any]]]], y: int
) -> Iterator[tuple[Panel, list[dict[str, Any]], dict[str, int]]]:
    """Yield the panels with their places, from left to right and from line ``y`` on."""
    x = height = 0
    for panel, targets in shown:
        if x + panel.width > COLUMNS:
            x, y, height = 0, y + height, 0
        tall = _HEIGHTS[panel.kind]
        yield panel, targets, {"h": tall, "w": panel.width, "x": x, "y": y}
        x += panel.width
        height = max(height, tall)


def _drawn(
    panel: Panel, targets: list[dict[str, Any]], id: int, place: dict[str, int]
) -> dict[str, Any]:
    return {
        "datasource": _datasource(),
        "description": panel.description,
        "fieldConfig": {"defaults": drawing.field(panel), "overrides": []},
        "gridPos": place,
        "id": id,
        "options": drawing.options(panel),
        "targets": targets,
        "title": panel.title,
        "type": panel.kind,
    }


def _dashboard(config: Config, title: str, panels: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "annotations": {"list": []},
        "description": "What tachikoma_metrics measures. Written by manage.py metrics_dashboard.",
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
    # Each is asked of the services that tachikoma_metrics measures, and no others.
    chosen = ""
    asked = next(name for name in _ALWAYS_THERE if name in Dialect(config).families)
    for name in _chosen(config):
        yield _variable(name, asked, chosen)
        chosen += f'{"," if chosen else ""}{name}=~"${name}"'


def _variable(label: str, asked: str, chosen: str) -> dict[str, Any]:
    series = f"{asked}{{{chosen}}}" if chosen else asked
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
    # All jobs are those of the list, for others have a process, too; of these jobs all
    # instances are wanted, however many there are.
    return {**variable, "allValue": ".*"} if label == "instance" else variable
