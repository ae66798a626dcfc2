"""The reference of metric families, from the catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pages import markdown, monitoring
from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Family, Histogram, Label

BUSINESS = "Business"
RUNTIME = "Python runtime"

GROUPS = {
    "http_": "HTTP",
    "ws_": "WebSocket",
    "task_": "Tasks",
    "beat_": "Tasks",
    "command_": "Commands",
    "execution": "Executions",
    "db_": "Database",
    "cache_": "Cache",
    "backend_": "Backends",
    "asgi_": RUNTIME,
    "python_": RUNTIME,
    "": BUSINESS,
    "tachikoma_metrics_": "The app's own health",
}
"""Titles of the groups, in order, by how the names of their families begin."""

GUIDES = {
    "WebSocket": "../guides/websockets.md",
    "Tasks": "../guides/celery.md",
    "Commands": "../guides/commands.md",
    "Executions": "../guides/executions.md",
    "Database": "../guides/databases-and-caches.md",
    "Cache": "../guides/databases-and-caches.md",
    "Backends": "../guides/executions.md",
    RUNTIME: "../guides/autoscaling.md",
    BUSINESS: "../guides/business.md",
}
"""Where to read on."""

PROCESS_FAMILIES = """\
`process_cpu_seconds_total`, `process_resident_memory_bytes`, `process_virtual_memory_bytes`,
`process_open_fds`, `process_max_fds`, `process_start_time_seconds`, `python_gc_*_total` and
`python_info` are prometheus_client's, and so are their names; `INCLUDE_PROCESS_METRICS` switches
them off. Their values with several processes:
[how values are aggregated](../explanation/store.md#how-values-are-aggregated)."""


def page() -> str:
    """Return the reference of all families."""
    return markdown.page(
        "# Metrics",
        markdown.NOTICE,
        "Every metric family, with what one unit of its value is. `NAMESPACE` puts a prefix before "
        "the names, except before those of the app's own health.",
        "An **opt-in** family is off until [`EXTRA_METRICS`](settings.md#extra_metrics) names it; "
        "[`DISABLED_METRICS`](settings.md#disabled_metrics) switches any of them off. An "
        "**optional** label is there if [`LABELS`](settings.md#labels) asks for it; families that "
        "have `method` and `path` may also have those that "
        "[`EXTRA_LABELS`](settings.md#extra_labels) defines. Past "
        "[`CARDINALITY_LIMIT`](settings.md#cardinality_limit), the labels of a new "
        "label set are `overflow`, "
        "except those that are **closed**: their values are a short list.",
        "Families of requests, databases and caches are on the page from the start. Others are "
        "from when what feeds them is in use: an ASGI application is wrapped, a model is declared, "
        "or a process has recorded a value. All are attributes of `METRICS` from the start.",
        *(part for title, families in grouped().items() for part in group(title, families)),
        "## Process and Python",
        PROCESS_FAMILIES,
    )


def grouped() -> dict[str, list[Family]]:
    """Return the families by the titles of their groups, in the order of their prefixes."""
    groups: dict[str, list[Family]] = {title: [] for title in GROUPS.values()}
    prefixes = list(GROUPS)
    for family in sorted(catalogue.FAMILIES.values(), key=lambda one: prefixes.index(prefix(one))):
        groups[GROUPS[prefix(family)]].append(family)
    return groups


def prefix(family: Family) -> str:
    """Return the longest of the prefixes that a family's name has."""
    return max(filter(family.name.startswith, GROUPS), key=len)


def group(title: str, families: Iterable[Family]) -> Iterator[str]:
    """Yield the section of a group: its families, those that are opt-in last."""
    yield f"## {title}"
    if title in GUIDES:
        yield f"What is counted, and how to have it counted: [{title}]({GUIDES[title]})."
    for family in sorted(families, key=lambda family: family.opt_in):
        yield from section(family)


def section(family: Family) -> Iterator[str]:
    """Yield the section of a family."""
    yield f"### `{family.name}`"
    yield family.help
    yield markdown.bullets(facts(family))


def facts(family: Family) -> Iterator[str]:
    """Yield what there is to know of a family, line by line."""
    yield f"Type: {family.type}{', **opt-in**' if family.opt_in else ''}"
    for label in family.labels:
        yield f"Label `{label.name}`{_closed(label)}: {label.values}"
    for label in family.optional:
        yield f"Optional label `{label.name}`{_closed(label)}: {label.values}"
    if isinstance(family, Histogram):
        yield f"Buckets: {buckets(family)}"
    yield f"Recorded by: {family.recorded_by}"
    shown = monitoring.panels_of(family.name)
    if shown:
        yield f"On [the dashboard](../guides/dashboards.md): {', '.join(shown)}"
    for alert in monitoring.alerts_about(family.name):
        yield f"When to alert: {alert}"


def _closed(label: Label) -> str:
    return " (closed)" if label.is_closed else ""


def buckets(family: Histogram) -> str:
    """Return the bounds of a histogram, and the setting that has others."""
    bounds = " ".join(f"{bound:g}" for bound in family.buckets)
    key = family.bucket_setting or "BUCKETS"
    return f"{bounds} ([`{key}`](settings.md#{key.lower()}))"
