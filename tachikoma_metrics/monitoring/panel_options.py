"""The field config and the options of a Grafana panel: colours, lines and legends."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tachikoma_metrics.monitoring.panels import Panel


def field_defaults(panel: Panel) -> dict[str, Any]:
    """Return the defaults of a panel's field config."""
    if panel.kind == "heatmap":
        return {"unit": "short"}
    defaults: dict[str, Any] = {"min": 0, "thresholds": _thresholds(panel), "unit": panel.unit}
    if panel.max is not None:
        defaults["max"] = panel.max
    if panel.kind == "stat":
        return {**defaults, "color": {"mode": "thresholds"}}
    return {**defaults, "color": {"mode": "palette-classic"}, "custom": _lines(panel)}


def _thresholds(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.red_above is not None:
        steps.append({"color": "red", "value": panel.red_above})
    return {"mode": "absolute", "steps": steps}


def _lines(panel: Panel) -> dict[str, Any]:
    return {
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
    return copied
