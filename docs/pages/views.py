"""The reference of views, from their declarations."""

from __future__ import annotations

from collections.abc import Iterator

from pages import markdown
from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.views import VIEWS, DerivedMetric, View

INTRODUCTION = """\
A view exposes the values of tachikoma_metrics once more, under the names and labels of another
package. Dashboards and alerts that were written for that package keep working.

```python
TACHIKOMA_METRICS = {
    "VIEWS": ["django-prometheus"],
}
```

- Each metric of a view is derived at the scrape, from the totals of all processes. Nothing is
  counted twice.
- The labels and bucket bounds that a view needs, such as `view`, `scheme` and `alias`, are stored
  for it. The metrics that they come from are exposed with their own labels and bounds, as without a
  view. [`CARDINALITY_LIMIT`](settings.md#cardinality_limit) limits the label sets that are stored.
- Metrics of a view also have the labels of [`EXTRA_LABELS`](settings.md#extra_labels) that `LABELS`
  adds to their source.
- Enabling or disabling a view changes what is stored: the counters that it derives from start at
  zero, as after a restart.
- A restart [keeps label sets](../explanation/store.md#what-a-restart-keeps) that no process updates
  any more: a metric of a view is the sum of several, and would decrease without them.
- A metric is left out if [`DISABLED_METRICS`](settings.md#disabled_metrics) names its source, if
  its source is opt-in and not enabled, or if a collector of the project has its name. While
  django-prometheus itself is in use, its own metrics are exposed.
- A scrape takes [about 1.4 times as long](../benchmarks.md#cost-of-a-scrape), and the response has
  about 1.6 times as many lines.
  [Recording rules](../guides/dashboards.md#rules-for-the-names-of-other-packages) avoid that: they
  give Prometheus the same metrics without a view."""


def page() -> str:
    """Return the reference of all views."""
    return markdown.page(
        "# Views",
        markdown.NOTICE,
        INTRODUCTION,
        *(part for view in VIEWS.values() for part in section(view)),
    )


def section(view: View) -> Iterator[str]:
    """Yield the section of a view."""
    yield f"## `{view.name}`"
    if view.namespace_setting:
        yield (
            f"The settings `{view.namespace_setting}` and `{view.bucket_setting}` of that package "
            "still apply."
        )
    known = [one for one in view.metrics if set(one.sources) <= set(catalogue.FAMILIES)]
    yield markdown.table(
        ["metric", "labels", "derived from", "differs"], [_row(metric) for metric in known]
    )
    yield "These cannot be derived:"
    yield markdown.table(
        ["metric", "reason"], [(f"`{name}`", reason) for name, reason in view.missing.items()]
    )


def _row(metric: DerivedMetric) -> tuple[str, str, str, str]:
    sources = [f"[`{name}`](metrics.md#{name})" for name in metric.sources]
    return (
        f"`{metric.name}`",
        ", ".join(f"`{name}`" for name in metric.label_names),
        " + ".join(sources) or "constantly 0",
        metric.difference,
    )
