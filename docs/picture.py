"""Draw the top of the dashboard from what a Prometheus answers that scraped the demo.

    make demo
    prometheus --config.file=example_project/prometheus.yml
    python docs/picture.py http://127.0.0.1:9090

The numbers are Prometheus', the layout is the dashboard's; only the drawing is not Grafana's.
"""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

HERE = Path(__file__).resolve().parent
DASHBOARD = HERE / "monitoring" / "dashboard.json"
PICTURE = HERE / "dashboard.png"

COLUMNS, LINES = 24, 22
SECONDS, STEP, RATE_INTERVAL = 600, 5, "30s"
MOST_IN_A_LEGEND = 4

BACKGROUND, PANEL, TEXT, FAINT = "#111217", "#181b1f", "#ccccdc", "#8e8e99"
GREEN, RED = "#73bf69", "#f2495c"
COLORS = ["#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff", "#c4162a"]

Line = tuple[str, list[float], list[float]]


def answers(prometheus: str, expression: str, legend: str) -> list[Line]:
    """Return the lines of an expression: legend, times in minutes, values."""
    now = time.time()
    asked = {"query": filled(expression), "start": now - SECONDS, "end": now, "step": STEP}
    url = f"{prometheus}/api/v1/query_range?{urllib.parse.urlencode(asked)}"
    with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  # One's own Prometheus.
        found = json.load(answer)["data"]["result"]
    return [line(named(legend, one["metric"]), one["values"], now) for one in found]


def line(legend: str, points: list[tuple[float, str]], now: float) -> Line:
    """Return a line without the moments at which there was nothing to divide by."""
    known = [(at, float(value)) for at, value in points if value != "NaN"]
    return legend, [(at - now) / 60 for at, _ in known], [value for _, value in known]


def filled(expression: str) -> str:
    """Return an expression of the dashboard as Grafana would ask it."""
    variables = dict.fromkeys(("job", "instance", "method", "path"), ".*")
    for name, value in {"rate_interval": RATE_INTERVAL, **variables}.items():
        expression = expression.replace(f"$__{name}", value).replace(f"${name}", value)
    return expression


def named(legend: str, labels: dict[str, str]) -> str:
    """Return the legend of a line."""
    for name, value in labels.items():
        legend = legend.replace(f"{{{{{name}}}}}", value)
    return "" if legend == "__auto" else legend


def said(value: float, unit: str) -> str:
    """Return a value with its unit, short."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "s":
        return f"{value:.3g} s" if value >= 1 else f"{1000 * value:.3g} ms"
    if unit == "reqps":
        return f"{value:.3g}/s"
    return f"{value:.3g}"


def draw_number(axes: Axes, panel: dict[str, Any], lines: list[Line]) -> None:
    """Draw a panel of one number or some."""
    defaults = panel["fieldConfig"]["defaults"]
    steps = [step["value"] for step in defaults["thresholds"]["steps"][1:]]
    axes.axis("off")
    for place, (legend, _, values) in enumerate(lines):
        left = (place + 0.5) / len(lines)
        style: dict[str, Any] = {"transform": axes.transAxes, "ha": "center"}
        color = RED if any(values[-1] >= step for step in steps) else GREEN
        number = said(values[-1], defaults["unit"])
        axes.text(left, 0.42, number, color=color, size=19, va="center", **style)
        axes.text(left, 0.06, legend, color=FAINT, size=8, **style)


def draw_lines(axes: Axes, panel: dict[str, Any], lines: list[Line]) -> None:
    """Draw a panel of lines, the greatest first."""
    defaults = panel["fieldConfig"]["defaults"]
    lines = sorted(lines, key=lambda line: -sum(line[2]))
    if defaults["custom"]["stacking"]["mode"] == "normal":
        times = sorted({at for _, of_line, _ in lines for at in of_line})
        found = [dict(zip(of_line, values, strict=True)) for _, of_line, values in lines]
        heights = [[line.get(at, 0.0) for at in times] for line in found]
        axes.stackplot(times, *heights, colors=COLORS, alpha=0.75)
    else:
        for color, (_, times, values) in zip(COLORS * 9, lines, strict=False):
            axes.plot(times, values, color=color, linewidth=1.1)
    axes.set(xlim=(-SECONDS / 60, 0))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: said(value, defaults["unit"])))
    draw_legend(axes, [legend for legend, _, _ in lines])


def draw_legend(axes: Axes, names: list[str]) -> None:
    """Draw the names of the first lines, each in its colour, in two columns under the axes."""
    for place, (color, name) in enumerate(zip(COLORS, names[:MOST_IN_A_LEGEND], strict=False)):
        left, bottom = place % 2 / 2, -0.21 - place // 2 * 0.1
        square = "\N{BLACK SQUARE}"
        axes.text(left, bottom, square, color=color, size=8, transform=axes.transAxes)
        axes.text(left + 0.02, bottom, name, color=TEXT, size=7, transform=axes.transAxes)


def add_axes(figure: Figure, place: dict[str, int]) -> Axes:
    """Return the axes of a panel, on a ground of their own."""
    width, height = 1 / COLUMNS, 1 / LINES
    left, bottom = place["x"] * width, 1 - (place["y"] + place["h"]) * height
    wide, high = place["w"] * width, place["h"] * height
    ground = figure.add_axes((left + 0.003, bottom + 0.005, wide - 0.006, high - 0.01))
    ground.set(facecolor=PANEL, xticks=[], yticks=[])
    ground.spines[:].set_visible(False)
    is_low = place["h"] < 8
    beside, below = (0.005, 0.01) if is_low else (0.04, 0.085)
    size = (wide - beside - 0.012, high - below - 0.055)
    axes = figure.add_axes((left + beside, bottom + below, *size))
    axes.set_facecolor("none")
    axes.spines[:].set_visible(False)
    axes.tick_params(colors=FAINT, labelsize=7, length=0)
    axes.grid(color="#2c3235", linewidth=0.6)
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} min"))
    return axes


def draw(figure: Figure, panels: Iterable[dict[str, Any]], prometheus: str) -> None:
    """Draw the panels that are in the picture."""
    for panel in panels:
        place = panel["gridPos"]
        if panel["type"] == "row":
            if place["y"] < LINES:
                heading = (0.006, 1 - (place["y"] + 0.7) / LINES)
                figure.text(*heading, panel["title"], color=TEXT, size=10, weight="bold")
            continue
        if place["y"] + place["h"] > LINES:
            continue
        axes = add_axes(figure, place)
        title = (place["x"] / COLUMNS + 0.009, 1 - (place["y"] + 0.75) / LINES)
        figure.text(*title, panel["title"], color=TEXT, size=9)
        lines = [
            line
            for target in panel["targets"]
            for line in answers(prometheus, target["expr"], target["legendFormat"])
        ]
        (draw_number if panel["type"] == "stat" else draw_lines)(axes, panel, lines)


def main(prometheus: str) -> None:
    """Write the picture."""
    figure = plt.figure(figsize=(12, 7.6), facecolor=BACKGROUND)
    draw(figure, json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"], prometheus)
    figure.savefig(PICTURE, dpi=130)


if __name__ == "__main__":
    main(sys.argv[1])
