"""The beginning of the page of benchmarks: one table, and one chart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from pages import markdown
from pages.figures import OURS, cell, median, section, table_with, times_less

_OTHERS = (
    "prometheus_client, one process",
    "prometheus_client, multi-process",
    "django-prometheus, multi-process",
    "OpenTelemetry's instrumentation, one process",
)
"""Rows of the tables, as the chart has them from the top."""

_COLUMN = "in the WSGI handler"

# The chart: the width of all, of the names, and of the longest bar.
_WIDTH, _NAMES, _BAR, _ROW = 900, 390, 420, 38


def table(benchmarks: str) -> str:
    """Return how many times less CPU each kind of event takes than with another package."""
    return markdown.table(
        ("what is measured", "compared with", "CPU of tachikoma_metrics:"), _rows(benchmarks)
    )


def _rows(benchmarks: str) -> Iterator[tuple[str, str, str]]:
    request = section(benchmarks, "Overhead per request")
    for title, column in (("request, WSGI", _COLUMN), ("request, ASGI", "in the ASGI handler")):
        for other in _OTHERS[1:]:
            yield title, other, times_less(cell(request, other, column))
    query = section(benchmarks, "Overhead per database query")
    for database in ("SQLite, on pages", "PostgreSQL, on pages"):
        yield f"query, {database}", _OTHERS[2], times_less(cell(query, _OTHERS[2], database))
    hit = section(benchmarks, "Overhead per cache hit")
    yield "cache hit, in memory", _OTHERS[2], times_less(cell(hit, _OTHERS[2], "in memory"))
    task = section(benchmarks, "Cost of a task")
    for other in (
        "OpenTelemetry's, with a tracer provider",
        "Celery's events, for celery-exporter",
    ):
        yield "Celery task", other, times_less(cell(task, other, "CPU"))
    scrape = section(benchmarks, "Cost of a scrape")
    for sets, processes, share in _scrapes(scrape):
        title = f"scrape, {sets} label sets, {processes} processes"
        yield title, "prometheus_client, multi-process", times_less(share)


def _scrapes(text: str) -> Iterator[tuple[str, str, str]]:
    heads, rows = table_with(text, "share, warm")
    for row in rows:
        found = dict(zip(heads, row, strict=True))
        if found["label sets"] == "1000" and found["processes"] in ("8", "32"):
            yield found["label sets"], found["processes"], found["share, warm"]


def chart(benchmarks: str) -> str:
    """Return a bar chart, in SVG, of the CPU that each package adds to a request."""
    request = section(benchmarks, "Overhead per request")
    names = (OURS, *_OTHERS)
    values = [float(median(cell(request, name, _COLUMN, last=True))) for name in names]
    height = 70 + _ROW * len(names)
    told = "; ".join(f"{name}: {value:g}" for name, value in zip(names, values, strict=True))
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
            ' aria-labelledby="title desc">',
            '  <title id="title">CPU added to a request, in microseconds</title>',
            f'  <desc id="desc">{escape(told)}.</desc>',
            "  <style>",
            '    text { font-family: system-ui, "Segoe UI", Helvetica, Arial, sans-serif;'
            " font-size: 15px; fill: #1f2328; }",
            "    .head { font-weight: 600; }",
            "    .bar { fill: #8c959f; }",
            "    .ours { fill: #0550ae; }",
            "  </style>",
            # A background in the file itself: it is read in light and in dark themes.
            f'  <rect x="1" y="1" width="{_WIDTH - 2}" height="{height - 2}" rx="10"'
            ' fill="#f6f8fa" stroke="#d0d7de"/>',
            '  <text class="head" x="24" y="34">CPU added to a request by Django under WSGI,'
            " in microseconds: less is better</text>",
            *_bars(names, values),
            "</svg>\n",
        )
    )


def _bars(names: Sequence[str], values: Sequence[float]) -> Iterator[str]:
    for number, (name, value) in enumerate(zip(names, values, strict=True)):
        top = 54 + _ROW * number
        width = max(2, round(_BAR * value / max(values)))
        bar = "ours" if name == OURS else "bar"
        yield f'  <text x="24" y="{top + 18}">{escape(name)}</text>'
        yield (f'  <rect class="{bar}" x="{_NAMES}" y="{top}" width="{width}" height="26" rx="3"/>')
        yield f'  <text x="{_NAMES + width + 10}" y="{top + 18}">{value:g}</text>'
