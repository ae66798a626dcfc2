"""Figures of the benchmarks, for the page that explains them."""

from __future__ import annotations

from collections.abc import Iterator

from pages import markdown

OURS = "tachikoma_metrics"
RATIO = "django-prometheus, multi-process"


def table(benchmarks: str) -> str:
    """Return the table of the cost of each event, from the page of benchmarks."""
    return markdown.table(
        ("event", "added µs of CPU:", f"compared with {RATIO}:"), _rows(benchmarks)
    )


def _rows(benchmarks: str) -> Iterator[tuple[str, ...]]:
    request = section(benchmarks, "Overhead per request")
    yield _costs("request, WSGI", request, "in the WSGI handler")
    yield _costs("request, ASGI", request, "in the ASGI handler")
    query = section(benchmarks, "Overhead per database query")
    yield _costs("query, SQLite", query, "SQLite, on pages")
    yield _costs("query, PostgreSQL", query, "PostgreSQL, on pages")
    yield _costs("`SELECT 1` in a loop, SQLite", query, "SQLite, cursor")
    hit = section(benchmarks, "Overhead per cache hit")
    yield _costs("cache hit, in memory", hit, "in memory")
    message = section(benchmarks, "Overhead per WebSocket message")
    yield "WebSocket message", median(cell(message, OURS, "added when wrapped")), ""
    own = section(benchmarks, "Cost of a custom metric")
    increment = median(cell(own, OURS, "`Counter.inc()`", last=True))
    yield "`Counter.inc()` of a custom metric", increment, ""


def _costs(what: str, text: str, column: str) -> tuple[str, str, str]:
    ours = cell(text, OURS, column, last=True)
    share = cell(text, RATIO, column)
    return what, median(ours), times_less(share)


def section(text: str, title: str) -> str:
    """Return the section of a page that has this title; raise ``LookupError`` without one."""
    parts = text.split("\n## ")
    for part in parts:
        if part.partition("\n")[0] == title:
            return part
    raise LookupError(f"The benchmarks should have a section {title!r}.")


def cell(text: str, row: str, column: str, *, last: bool = False) -> str:
    """Return what a table has in a row and a column: the first such table, or the last.

    Raises ``LookupError`` if there is none.
    """
    found = [
        cells[row][column] for cells in map(_cells, _tables(text)) if column in cells.get(row, {})
    ]
    if not found:
        raise LookupError(f"The benchmarks should have {row!r} and {column!r} in a table.")
    return found[-1 if last else 0]


def _tables(text: str) -> Iterator[list[str]]:
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("|"):
            yield paragraph.splitlines()


def _cells(lines: list[str]) -> dict[str, dict[str, str]]:
    heads, _, *rows = map(_split, lines)
    return {row[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in rows}


def median(figure: str) -> str:
    """Return the median of a figure, such as ``0.5 (0.4 to 0.6)``, without its range."""
    return figure.partition(" ")[0]


def times_less(share: str) -> str:
    """Return a share in words: ``14 times less`` for a median of 0.069."""
    ratio = float(median(share))
    if ratio > 1.05:
        return f"{ratio:.2g} times as much"
    if ratio > 0.95:
        return "the same"
    times = 1 / ratio
    return f"{times:.0f} times less" if times >= 10 else f"{times:.1f} times less"


def scrapes(benchmarks: str) -> str:
    """Return the table of the cost of a scrape, from the page of benchmarks."""
    text = section(benchmarks, "Cost of a scrape")
    heads, rows = table_with(text, "multiple")
    columns = [heads.index(head) for head in ("label sets", "lines", "processes")]
    columns += [heads.index(f"{OURS}, {temperature}") for temperature in ("cold", "warm")]
    return markdown.table(
        ("label sets:", "lines:", "processes:", "first scrape, ms of CPU:", "later scrapes:"),
        ([median(row[column]) for column in columns] for row in rows),
    )


def table_with(text: str, column: str) -> tuple[list[str], list[list[str]]]:
    """Return the heads and the rows of the first table that has a column.

    Raises ``LookupError`` if there is none.
    """
    for heads, _, *rows in ([_split(line) for line in lines] for lines in _tables(text)):
        if column in heads:
            return heads, rows
    raise LookupError(f"The benchmarks should have a table with {column!r}.")


def _split(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]
