"""The dashboard in the JSON model of Grafana.

https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring import panel_options
from tachikoma_metrics.monitoring.dashboard_rows import dashboard_rows
from tachikoma_metrics.monitoring.metric_names import (
    MetricNames,
    NotMeasured,
    recorded_names,
)
from tachikoma_metrics.monitoring.native_queries import queried_natively
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.panels import Panel, Query, Row
from tachikoma_metrics.monitoring.recording_rules import (
    availability_rules,
    route_rules,
    task_rules,
)
from tachikoma_metrics.monitoring.rule_file import RUNBOOKS
from tachikoma_metrics.monitoring.variables import (
    datasource,
    route_labels,
    variable_labels,
    variables,
)

SCHEMA_VERSION = 39
"""The schema version of Grafana 10.4; later versions migrate it."""

COLUMNS = 24
METRICS = "https://tachikoma-metrics.readthedocs.io/en/stable/reference/metrics.html"

_HEIGHTS = {"stat": 4, "timeseries": 8, "heatmap": 8, "table": 10}
_RESTART_SECONDS = 120

_RECORDED = {
    rule.name: rule.expression for rule in (*availability_rules(), *route_rules(), *task_rules())
}

Shown = tuple[Panel, list[dict[str, Any]], dict[str, str]]
"""A panel, its targets, and the titles of the labels in a table."""


@dataclass(frozen=True)
class DashboardOptions:
    """What the dashboard is called, and what it leads to.

    ``datasource`` is the UID of the data source that is selected at first, else Grafana's default.
    ``runbooks`` is the URL of the runbooks of the alerts.
    """

    title: str = "Django service"
    uid: str = "tachikoma-metrics"
    datasource: str = "default"
    runbooks: str = RUNBOOKS


def dashboard(
    config: Config,
    options: DashboardOptions | None = None,
    unused: Collection[str] = (),
    *,
    objectives: Objectives | None = None,
    is_native: bool = False,
) -> tuple[dict[str, Any], list[str]]:
    """Return a dashboard that matches ``config``, and the reason for each panel left out.

    A panel is left out if the settings switch off one of its metrics, or if that is among the
    names of ``unused`` ones. Thresholds are those of ``objectives``. ``is_native`` makes panels
    of native histograms.
    """
    native = queried_natively(config) if is_native else frozenset()
    names = MetricNames(
        config,
        {label: f'=~"${label}"' for label in variable_labels(config)},
        native,
        {label: f'=~"${label}"' for label in route_labels(config)},
    )
    ids = count(1)
    left_out: list[str] = []
    panels: list[dict[str, Any]] = []
    y = 0
    for row in dashboard_rows(config, objectives, native):
        shown = list(_panels(row, names, unused, left_out))
        if shown:
            row_panels, height = _row(row, shown, ids, y)
            panels += row_panels
            y += height
    return _dashboard(names, options or DashboardOptions(), panels), left_out


def _panels(
    row: Row, names: MetricNames, unused: Collection[str], left_out: list[str]
) -> Iterator[Shown]:
    """Yield the panels of a row whose metrics are measured, with their targets."""
    for panel in row.panels:
        try:
            _require_use(panel, names, unused)
            _require_rules(panel, names)
            targets = [_target(*numbered, panel, names) for numbered in enumerate(panel.queries)]
        except NotMeasured as reason:
            left_out.append(f"{row.title}: {panel.title}: {reason}.")
        else:
            yield panel, targets, _label_titles(panel, names)


def _require_rules(panel: Panel, names: MetricNames) -> None:
    """Raise ``NotMeasured`` if a rule that a panel uses records nothing."""
    waiting = [query.expression for query in panel.queries]
    while waiting:
        for name in recorded_names(waiting.pop()):
            names.translate(_RECORDED[name], exactly=True)
            waiting.append(_RECORDED[name])


def _label_titles(panel: Panel, names: MetricNames) -> dict[str, str]:
    """Return the titles of the columns of a table that are labels."""
    if panel.kind != "table":
        return {}
    legends = (names.legend("{{method}} {{path}}", query.expression) for query in panel.queries)
    labels = dict.fromkeys(label for legend in legends for label in re.findall(r"\w+", legend))
    return {label: label.capitalize() for label in labels}


def _require_use(panel: Panel, names: MetricNames, unused: Collection[str]) -> None:
    named = set().union(*(names.named(query.expression) for query in panel.queries))
    for name in sorted(named.intersection(unused)):
        raise NotMeasured(f"nothing in the project records `{name}`")


def _target(number: int, query: Query, panel: Panel, names: MetricNames) -> dict[str, Any]:
    exemplar = {"exemplar": True} if names.has_exemplars(query.expression) else {}
    return {
        **exemplar,
        "datasource": datasource(),
        "expr": names.translate(query.expression),
        "format": _format(query, panel, names),
        **({"instant": True, "range": False} if query.is_instant else {}),
        "legendFormat": names.legend(query.legend, query.expression) or "__auto",
        "refId": panel_options.REF_IDS[number],
    }


def _format(query: Query, panel: Panel, names: MetricNames) -> str:
    """Return how Grafana reads an answer: as series that are the rows of a heat map, or as it is.

    As ``heatmap``, releases before 10.3 do not show native histograms:
    https://github.com/grafana/grafana/pull/77289
    """
    if panel.kind == "table":
        return "table"
    has_rows = panel.kind == "heatmap" and not names.is_native(query.expression)
    return "heatmap" if has_rows else "time_series"


def _row(
    row: Row, shown: list[Shown], ids: Iterator[int], y: int
) -> tuple[list[dict[str, Any]], int]:
    """Return a row and its panels, from line ``y`` on, and their height in lines."""
    head = {
        "collapsed": not row.is_expanded,
        "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": y},
        "id": next(ids),
        "title": row.title,
        "type": "row",
    }
    places = list(_places(shown, y + 1))
    panels = [_panel(*one, next(ids), place) for one, place in zip(shown, places, strict=True)]
    if row.is_expanded:
        bottom = max(place["y"] + place["h"] for place in places)
        return [{**head, "panels": []}, *panels], bottom - y
    # The panels of a collapsed row are nested in it, and take no space.
    return [{**head, "panels": panels}], 1


def _places(shown: Iterable[Shown], y: int) -> Iterator[dict[str, int]]:
    """Yield the positions of the panels, from left to right and from line ``y`` on."""
    x = height = 0
    for panel, *_ in shown:
        if x + panel.width > COLUMNS:
            x, y, height = 0, y + height, 0
        panel_height = _HEIGHTS[panel.kind]
        yield {"h": panel_height, "w": panel.width, "x": x, "y": y}
        x += panel.width
        height = max(height, panel_height)


def _panel(
    panel: Panel,
    targets: list[dict[str, Any]],
    label_titles: dict[str, str],
    id: int,
    place: dict[str, int],
) -> dict[str, Any]:
    transformations = panel_options.transformations(panel, label_titles)
    return {
        "datasource": datasource(),
        "description": panel.description,
        "fieldConfig": {
            "defaults": panel_options.field_defaults(panel),
            "overrides": panel_options.overrides(panel),
        },
        "gridPos": place,
        "id": id,
        "options": panel_options.options(panel),
        "targets": targets,
        "title": panel.title,
        **({"transformations": transformations} if transformations else {}),
        "type": panel.kind,
    }


def _dashboard(
    names: MetricNames, options: DashboardOptions, panels: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "annotations": {"list": list(_annotations(names))},
        "description": "Metrics of tachikoma_metrics. Generated by manage.py metrics_dashboard.",
        "editable": True,
        "graphTooltip": 1,
        "links": [
            _link("Runbooks", options.runbooks, "What each alert means, and what to do"),
            _link("Metrics", METRICS, "Reference of all metrics"),
        ],
        "panels": panels,
        "refresh": "30s",
        "schemaVersion": SCHEMA_VERSION,
        "tags": ["django", "tachikoma_metrics"],
        "templating": {"list": list(variables(names.config, options.datasource))},
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "",
        "title": options.title,
        "uid": options.uid,
        "version": 1,
    }


def _annotations(names: MetricNames) -> Iterator[dict[str, Any]]:
    """Yield the mark of restarts, which are also those of a deployment."""
    started = "time() - max by (instance) (process_start_time_seconds)"
    with contextlib.suppress(NotMeasured):
        yield {
            "datasource": datasource(),
            "enable": True,
            "expr": names.translate(f"{started} < {_RESTART_SECONDS}"),
            "iconColor": "blue",
            "name": "Restarts and deployments",
            "step": "60s",
            "titleFormat": "{{instance}} started",
        }


def _link(title: str, url: str, tooltip: str) -> dict[str, Any]:
    return {
        "asDropdown": False,
        "icon": "doc",
        "includeVars": False,
        "keepTime": False,
        "tags": [],
        "targetBlank": True,
        "title": title,
        "tooltip": tooltip,
        "type": "link",
        "url": url,
    }
