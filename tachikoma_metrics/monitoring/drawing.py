"""How Grafana is to draw a panel: colours, lines and legends."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from tachikoma_metrics.monitoring.panels import Panel


def field(panel: Panel) -> dict[str, Any]:
    """Return how the values of a panel are drawn."""
    if panel.kind == "heatmap":
        return {"unit": "short"}
    drawn: dict[str, Any] = {"min": 0, "thresholds": _thresholds(panel), "unit": panel.unit}
    if panel.highest is not None:
        drawn["max"] = panel.highest
    if panel.kind == "stat":
        return {**drawn, "color": {"mode": "thresholds"}}
    return {**drawn, "color": {"mode": "palette-classic"}, "custom": _lines(panel)}


def _thresholds(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if panel.alarming_from is not None:
        steps.append({"color": "red", "value": panel.alarming_from})
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
    """Return what the kind of a panel lets one choose."""
    # Each panel has its own, which a caller may change.
    chosen = deepcopy(_OPTIONS[panel.kind])
    if panel.kind == "heatmap":
        return {**chosen, "yAxis": {"axisPlacement": "left", "unit": panel.unit}}
    return chosen
