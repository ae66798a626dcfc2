"""What the dashboard shows: rows of panels, as data, in the names of the catalogue.

A panel says in its description what one sees, and what to look for.
"""

from __future__ import annotations

from collections.abc import Iterator

from tachikoma_metrics import catalogue
from tachikoma_metrics.business.declarations import declared
from tachikoma_metrics.catalogue.definitions import Counter
from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.dialect import SERVICE, quoted
from tachikoma_metrics.monitoring.panels import THIRD, Panel, Query, Row, rate
from tachikoma_metrics.monitoring.rows.backends import BACKENDS
from tachikoma_metrics.monitoring.rows.business import BUSINESS, FRESHNESS
from tachikoma_metrics.monitoring.rows.cache import CACHE
from tachikoma_metrics.monitoring.rows.database import DATABASE
from tachikoma_metrics.monitoring.rows.executions import EXECUTIONS
from tachikoma_metrics.monitoring.rows.http import HTTP
from tachikoma_metrics.monitoring.rows.overview import OVERVIEW
from tachikoma_metrics.monitoring.rows.process import PROCESS
from tachikoma_metrics.monitoring.rows.websocket import WEBSOCKET
from tachikoma_metrics.registry.metrics import is_on, shape_of


def rows(config: Config) -> Iterator[Row]:
    """Yield the rows of the dashboard, with panels for what the settings add."""
    yield OVERVIEW
    for row in (HTTP, DATABASE, CACHE, WEBSOCKET, EXECUTIONS, BACKENDS):
        yield _with(row, *_of_added_labels(row, config))
    yield _with(BUSINESS, *_of_declared_families(config), *FRESHNESS)
    yield PROCESS


def _with(row: Row, *panels: Panel) -> Row:
    return Row(row.title, (*row.panels, *panels), is_open=row.is_open)


def _of_added_labels(row: Row, config: Config) -> Iterator[Panel]:
    """Yield a panel for each label that ``LABELS`` adds to a counter which the row shows."""
    asked = " ".join(query.expression for panel in row.panels for query in panel.queries)
    for family in catalogue.FAMILIES.values():
        if not isinstance(family, Counter) or f"{family.name}[" not in asked:
            continue
        if not is_on(family, config):
            continue
        for label in shape_of(family, config).label_names:
            if label not in family.label_names:
                yield Panel(
                    f"{family.help.rstrip('.')} by {label}",
                    f"Per second, by the label that LABELS gives to {family.name}.",
                    rate(family.name, label, f"{{{{{label}}}}}"),
                    "ops",
                )


def _of_declared_families(config: Config) -> Iterator[Panel]:
    for family in declared(config):
        if family.name not in catalogue.FAMILIES:
            labels = [_on_the_target(label) for label in family.labels]
            # Its name may be a word of PromQL's.
            series = f"{{__name__={quoted(family.name)}}}"
            expression = f"max by ({', '.join([SERVICE, *labels])}) ({series})"
            legend = " ".join(f"{{{{{label}}}}}" for label in ("job", *labels))
            yield Panel(family.name, family.help, (Query(expression, legend),), width=THIRD)


def _on_the_target(label: str) -> str:
    """Return what Prometheus calls a label that it gives to all targets itself.

    https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config
    """
    return f"exported_{label}" if label in ("job", "instance") else label
