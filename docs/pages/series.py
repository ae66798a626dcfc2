"""How many time series the standard metrics have in a service of the example's size."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from pages import markdown
from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue import commands, tasks
from tachikoma_metrics.catalogue.definitions import Family, Histogram
from tachikoma_metrics.store import layout

SIZES = {
    catalogue.METHOD: 3,
    catalogue.PATH: 50,
    catalogue.STATUS: 4,
    catalogue.MESSAGE_TYPE: 3,
    catalogue.BACKEND: 2,
    catalogue.MODEL: 3,
    catalogue.OUTCOME: 4,
    catalogue.TOKEN_TYPE: 2,
    catalogue.OPERATION: 5,
    catalogue.TABLE: 20,
    catalogue.ENDPOINT: 3,
    catalogue.ERROR_TYPE: 4,
    catalogue.SPEC_STATUS: 5,
    catalogue.CHANGE_TYPE: 3,
    catalogue.CHANGE_STATUS: 2,
    tasks.TASK: 20,
    tasks.QUEUE: 2,
    tasks.RUN_OUTCOME: 3,
    tasks.ENTRY: 10,
    commands.COMMAND: 3,
    commands.COMMAND_OUTCOME: 2,
}
"""How many values each label has in the example."""

VALUE = "x" * 12
"""A label value of average length."""


@dataclass(frozen=True)
class Shape:
    """The labels and buckets that a family has in one of the examples."""

    family: Family
    sizes: tuple[int, ...]
    buckets: int

    @property
    def label_sets(self) -> int:
        """Return how many label sets there are."""
        return math.prod(self.sizes)

    @property
    def lines(self) -> int:
        """Return how many series a label set has: a histogram's also +Inf, count and sum."""
        return self.buckets + 3 if isinstance(self.family, Histogram) else 1

    @property
    def series(self) -> int:
        """Return how many series there are."""
        return self.label_sets * self.lines


def standard(family: Family) -> Shape:
    """Return a family as it is without settings."""
    bounds = family.buckets if isinstance(family, Histogram) else ()
    return Shape(family, tuple(SIZES[label] for label in family.labels), len(bounds))


def table() -> str:
    """Return the table of the standard families, the largest first, with their sum."""
    return _table(catalogue.SPECIFIED)


def background_table() -> str:
    """Return the table of tasks, schedules and commands, with their sum."""
    recorders = (tasks.TASK_SYSTEMS, tasks.BEAT, commands.COMMANDS)
    families = catalogue.FAMILIES.values()
    return _table(one for one in families if one.recorded_by in recorders and not one.opt_in)


def _table(families: Iterable[Family]) -> str:
    shapes = sorted(map(standard, families), key=lambda shape: -shape.series)
    return markdown.table(
        ("metric", "label sets:", "series per label set:", "time series:", "bytes in the slot:"),
        [*map(_row, shapes), _sum(shapes)],
    )


def _row(shape: Shape) -> tuple[str, ...]:
    product = " × ".join(map(str, shape.sizes))
    label_sets = f"{product} = {shape.label_sets}" if len(shape.sizes) > 1 else product or "1"
    link = f"[`{shape.family.name}`](../reference/metrics.md#{shape.family.name})"
    return link, label_sets, str(shape.lines), f"{shape.series:,}", f"{slot_bytes(shape):,}"


def _sum(shapes: Iterable[Shape]) -> tuple[str, ...]:
    shapes = list(shapes)
    series = sum(shape.series for shape in shapes)
    return "**all**", "", "", f"**{series:,}**", f"**{sum(map(slot_bytes, shapes)):,}**"


def slot_bytes(shape: Shape) -> int:
    """Return how many bytes of its slot a process needs for a family, all label sets used."""
    names = tuple(label.name for label in shape.family.labels)
    bounds = (*map(float, range(shape.buckets)), math.inf) if shape.lines > 1 else ()
    declaration = layout.Declaration(
        shape.family.type, shape.family.name, shape.family.help, labels=names, bounds=bounds
    )
    series = layout.Series(declaration, (VALUE,) * len(names))
    record = len(layout.encode_series(series, 0))
    return len(layout.encode_declaration(declaration)) + shape.label_sets * record


SAVINGS: dict[str, tuple[str, ...]] = {
    "default settings": (),
    "without `http_request_size_bytes`": ("no request sizes",),
    "sizes by `method` only": ("sizes by method",),
    "six bounds for request durations": ("six bounds",),
    "sizes by `method` only, and six bounds": ("sizes by method", "six bounds"),
}
"""Settings that reduce the number of time series, and the changes that each makes."""


def savings() -> str:
    """Return the table of the time series that remain with some settings."""
    whole = sum(changed(family, ()).series for family in catalogue.SPECIFIED)
    rows = []
    for words, changes in SAVINGS.items():
        series = sum(changed(family, changes).series for family in catalogue.SPECIFIED)
        rows.append((words, f"{series:,}", f"{series / whole:.0%}"))
    return markdown.table(("settings", "time series:", "share:"), rows)


_SIZES = (catalogue.HTTP_REQUEST_SIZE, catalogue.HTTP_RESPONSE_SIZE)


def changed(family: Family, changes: tuple[str, ...]) -> Shape:
    """Return a family as it is after some changes."""
    shape = standard(family)
    if "no request sizes" in changes and family is catalogue.HTTP_REQUEST_SIZE:
        return Shape(family, (0,), shape.buckets)
    if "sizes by method" in changes and family in _SIZES:
        return Shape(family, (SIZES[catalogue.METHOD],), shape.buckets)
    if "six bounds" in changes and family is catalogue.HTTP_REQUEST_DURATION:
        return Shape(family, shape.sizes, 6)
    return shape


HOSTS = (1, 10, 100, 1_000, 5_000)
RAM_OF_A_SERIES = 3_000
"""https://www.robustperception.io/why-does-prometheus-use-so-much-ram/"""
DISK_OF_A_SAMPLE = 2
"""The more of https://prometheus.io/docs/prometheus/latest/storage/#operational-aspects."""
SECONDS_BETWEEN_SCRAPES = 15
DAYS = 15


def hosts() -> str:
    """Return the table of what Prometheus needs for many hosts of the example's size."""
    a_host = sum(standard(family).series for family in catalogue.SPECIFIED)
    return markdown.table(
        (
            "hosts:",
            "time series:",
            "samples per second:",
            "memory, GB:",
            f"disk for {DAYS} days, GB:",
        ),
        (_needs(count, count * a_host) for count in HOSTS),
    )


def _needs(count: int, series: int) -> tuple[str, ...]:
    samples = series / SECONDS_BETWEEN_SCRAPES
    disk = samples * DAYS * 86_400 * DISK_OF_A_SAMPLE
    memory = series * RAM_OF_A_SERIES
    return f"{count:,}", f"{series:,}", f"{samples:,.0f}", *map(_gigabytes, (memory, disk))


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.2g}" if size < 1e10 else f"{size / 1e9:,.0f}"
