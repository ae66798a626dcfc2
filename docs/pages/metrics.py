"""The reference of metrics, from the catalogue: a table for each subject."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from pages import markdown, monitoring
from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Family, Histogram, Label

BUSINESS = "Business metrics"
DATABASE = "Databases"
CACHE = "Caches"
LLM = "LLM calls"
RUNTIME = "Python runtime"
UPSTREAM = "Upstream APIs"

GROUPS = {
    "http_": "HTTP",
    "ws_": "WebSocket",
    "task_": "Tasks",
    "beat_": "Tasks",
    "command_": "Commands",
    "execution": LLM,
    "db_": DATABASE,
    "cache_": CACHE,
    "backend_": UPSTREAM,
    "asgi_": RUNTIME,
    "python_": RUNTIME,
    "": BUSINESS,
    "tachikoma_metrics_": "tachikoma_metrics itself",
}
"""Titles of the subjects, in order, by the prefixes of their metrics' names."""

GUIDES = {
    "WebSocket": "[WebSockets](../guides/websockets.md)",
    "Tasks": "[Celery](../guides/celery.md)",
    "Commands": "[Management commands](../guides/commands.md)",
    LLM: "[LLM calls](../guides/executions.md)",
    DATABASE: "[Databases and caches](../guides/databases-and-caches.md)",
    CACHE: "[Databases and caches](../guides/databases-and-caches.md)",
    UPSTREAM: "[LLM calls](../guides/executions.md)",
    RUNTIME: "[Autoscaling](../guides/autoscaling.md)",
    BUSINESS: "[Business metrics](../guides/business.md)",
}
"""The guide to each subject."""

INTRODUCTION = """\
Reference of all metrics: type, labels, unit and where each is recorded. Units are in the names:
seconds, bytes, US dollars; the description says what a metric without a unit counts.

- **Names:** [`NAMESPACE`](settings.md#namespace) is a prefix of all names except
  `tachikoma_metrics_*`. Each metric is also an attribute of
  [`METRICS`](api.md#metrics-and-exposition).
- **Opt-in** metrics are off until [`EXTRA_METRICS`](settings.md#extra_metrics) lists them.
  [`DISABLED_METRICS`](settings.md#disabled_metrics) turns off any metric.
- **Optional labels** are in parentheses: [`LABELS`](settings.md#labels) adds them. Metrics with
  `method` and `path` can also have custom labels, from
  [`EXTRA_LABELS`](settings.md#extra_labels).
- **Closed labels** have a short list of values. Above
  [`CARDINALITY_LIMIT`](settings.md#cardinality_limit) they keep their value, and the other labels
  of a new label set become `overflow`.
- **Buckets** are the upper bounds of a histogram, without `+Inf`;
  [`BUCKETS`](settings.md#buckets) replaces those of one histogram.
- **Exposed from:** metrics of HTTP, databases and caches are exposed from the start. The others
  appear once their source is in use: an ASGI application is wrapped, a business metric is declared,
  or a process has recorded a value.
- **Dashboard rows** are those of [the generated dashboard](../guides/dashboards.md) with a panel of
  the metric."""

PROCESS_METRICS = """\
`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`,
`process_open_fds`, `process_max_fds`, `process_start_time_seconds`, `python_gc_*_total` and
`python_info` have the names that prometheus_client gives them;
[`INCLUDE_PROCESS_METRICS`](settings.md#include_process_metrics) turns them off. For their
values with several processes, see
[how values are aggregated](../explanation/store.md#how-values-are-aggregated)."""


def page() -> str:
    """Return the reference of all metrics."""
    return markdown.page(
        "# Metrics",
        markdown.NOTICE,
        INTRODUCTION,
        *(part for title, families in grouped().items() for part in section(title, families)),
        "## Process and Python",
        PROCESS_METRICS,
    )


def grouped() -> dict[str, list[Family]]:
    """Return the metrics by subject, in the order of the subjects, opt-in ones last."""
    groups: dict[str, list[Family]] = {title: [] for title in GROUPS.values()}
    for family in sorted(catalogue.FAMILIES.values(), key=lambda family: family.opt_in):
        groups[GROUPS[prefix(family)]].append(family)
    return groups


def prefix(family: Family) -> str:
    """Return the longest of the prefixes that a metric's name has."""
    return max(filter(family.name.startswith, GROUPS), key=len)


def section(title: str, families: list[Family]) -> Iterator[str]:
    """Yield the section of a subject: the table, then what several metrics have in common."""
    yield f"## {title}"
    if title in GUIDES:
        yield f"Guide: {GUIDES[title]}."
    yield markdown.table(("Metric and type", "Description and labels"), map(_row, families))
    for heading, items in (
        ("Labels", _labels(families)),
        ("Buckets", _shared(families, buckets)),
        ("Recorded by", _shared(families, lambda family: [family.recorded_by])),
        ("Dashboard rows", _shared(families, lambda one: monitoring.rows_with(one.name))),
        ("Alerts", _shared(families, lambda one: monitoring.alerts_about(one.name))),
    ):
        yield from _list(heading, [*items])


def _list(heading: str, items: list[str]) -> Iterator[str]:
    if len(items) == 1:
        yield f"**{heading}:** {items[0]}"
    elif items:
        yield f"**{heading}**\n\n{markdown.bullets(items)}"


def _row(family: Family) -> tuple[str, str]:
    # The braces are an anchor, so that other pages link to a metric.
    name = f"[`{family.name}`]{{#{family.name}}}"
    kind = f"{family.type}, **opt-in**" if family.opt_in else family.type
    labels = [f"`{label.name}`" for label in family.labels]
    labels += [f"(`{label.name}`)" for label in family.optional]
    listed = f"<br>Labels: {', '.join(labels)}" if labels else ""
    return f"{name}<br>{kind}", family.help + listed


def _labels(families: Iterable[Family]) -> Iterator[str]:
    """Yield the labels of a subject, each once; those of one name with their metrics."""
    users: dict[Label, list[str]] = {}
    for family in families:
        for label in family.labels + family.optional:
            users.setdefault(label, []).append(f"`{family.name}`")
    names = [label.name for label in users]
    for label, metrics in users.items():
        of_metrics = f" of {', '.join(metrics)}" if names.count(label.name) > 1 else ""
        closed = " (closed)" if label.is_closed else ""
        yield f"`{label.name}`{of_metrics}{closed}: {label.values}"


def _shared(families: list[Family], facts: Callable[[Family], list[str]]) -> Iterator[str]:
    """Yield each fact once, with the metrics of which it is true."""
    users: dict[str, list[str]] = {}
    for family in families:
        for fact in facts(family):
            users.setdefault(fact, []).append(f"`{family.name}`")
    for fact, metrics in users.items():
        is_true_of_all = len(metrics) == len(families) > 1
        yield f"{fact}: {'all' if is_true_of_all else ', '.join(metrics)}"


def buckets(family: Family) -> list[str]:
    """Return the bounds of a histogram, with the setting that has others for several of them."""
    if not isinstance(family, Histogram):
        return []
    bounds = " ".join(f"{bound:.15g}" for bound in family.buckets)
    key = family.bucket_setting
    return [f"{bounds} ([`{key}`](settings.md#{key.lower()}))" if key else bounds]
