"""The field config and the options of a Grafana panel: colours, lines and legends."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from tachikoma_metrics.monitoring.panels import Panel, Query, Steps

REF_IDS = "ABCDEFGH"
"""What Grafana calls the queries of a panel."""


def field_defaults(panel: Panel) -> dict[str, Any]:
    """Return the defaults of a panel's field config."""
    if panel.kind == "heatmap":
        return {"unit": "short"}
    defaults: dict[str, Any] = {
        "thresholds": _thresholds(panel.steps, panel.lowest),
        "unit": panel.unit,
    }
    for name, value in _limits(panel).items():
        if value is not None:
            defaults[name] = value
    if panel.without_data:
        defaults["noValue"] = panel.without_data
    if panel.kind in ("stat", "table"):
        return {**defaults, "color": {"mode": "thresholds"}}
    return {**defaults, "color": {"mode": "palette-classic"}, "custom": _lines(panel)}


def _limits(panel: Panel) -> dict[str, float | None]:
    return {"min": panel.min, "max": panel.max, "decimals": panel.decimals}


def overrides(panel: Panel) -> list[dict[str, Any]]:
    """Return what applies to some series of a panel, or to some columns of a table."""
    if panel.kind == "table":
        return [_of_column(query) for query in panel.queries]
    # Series of one colour have different shades of it.
    return [
        _override("byRegexp", f"/{pattern}/", {"color": {"fixedColor": color, "mode": "shades"}})
        for pattern, color in panel.colors
    ]


def _of_column(query: Query) -> dict[str, Any]:
    properties: dict[str, Any] = {"unit": query.unit}
    if query.steps:
        properties["thresholds"] = _thresholds(query.steps)
        properties["custom.cellOptions"] = {"type": "color-text"}
    return _override("byName", query.legend, properties)


def _override(matcher: str, wanted: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "matcher": {"id": matcher, "options": wanted},
        "properties": [{"id": name, "value": value} for name, value in properties.items()],
    }


def transformations(panel: Panel, labels: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return how the results of a table become one: ``labels`` have the titles of its columns."""
    if panel.kind != "table":
        return []
    columns = {
        f"Value #{ref_id}": query.legend
        for ref_id, query in zip(REF_IDS, panel.queries, strict=False)
    }
    titles = {**labels, **columns}
    return [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {"Time": True},
                "indexByName": {name: place for place, name in enumerate(titles)},
                "renameByName": titles,
            },
        },
    ]


def _thresholds(given: Steps, lowest: str = "green") -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": lowest, "value": None}]
    steps += [{"color": color, "value": value} for value, color in given]
    return {"mode": "absolute", "steps": steps}


def _lines(panel: Panel) -> dict[str, Any]:
    lines = {"thresholdsStyle": {"mode": "dashed"}} if panel.steps else {}
    return {
        **lines,
        "drawStyle": "line",
        "fillOpacity": 30 if panel.is_stacked else 8,
        "lineWidth": 1,
        "showPoints": "never",
        "spanNulls": False,
        "stacking": {"group": "A", "mode": "normal" if panel.is_stacked else "none"},
    }


_OPTIONS: dict[str, dict[str, Any]] = {
    "timeseries": {
        "legend": {
            "calcs": ["mean", "max"],
            "displayMode": "table",
            "placement": "bottom",
            "showLegend": True,
            "sortBy": "Mean",
            "sortDesc": True,
        },
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "stat": {
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "showPercentChange": False,
        "textMode": "auto",
        "wideLayout": True,
    },
    "table": {"cellHeight": "sm", "frameIndex": 0, "showHeader": True},
    "heatmap": {
        "calculate": False,
        "cellGap": 1,
        "color": {
            "exponent": 0.5,
            "fill": "dark-orange",
            "mode": "scheme",
            "reverse": False,
            "scale": "exponential",
            "scheme": "Oranges",
            "steps": 64,
        },
        "exemplars": {"color": "rgba(255,0,255,0.7)"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "rowsFrame": {"layout": "auto"},
        "showValue": "never",
        "tooltip": {"mode": "single", "showColorScale": False, "yHistogram": True},
    },
}


def options(panel: Panel) -> dict[str, Any]:
    """Return the options of a panel."""
    # Callers may change the options of one panel.
    copied = deepcopy(_OPTIONS[panel.kind])
    if panel.kind == "heatmap":
        return {**copied, "yAxis": {"axisPlacement": "left", "unit": panel.unit}}
    if panel.sorted_by:
        return {**copied, "sortBy": [{"desc": True, "displayName": panel.sorted_by}]}
    return copied
