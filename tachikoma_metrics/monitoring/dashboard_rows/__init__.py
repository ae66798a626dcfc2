"""The rows of the dashboard and their panels, as data, with the names of the catalogue.

The description of a panel says what it shows, and what to look for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from tachikoma_metrics import catalogue
from tachikoma_metrics.business.declarations import declared
from tachikoma_metrics.catalogue.definitions import Counter
from tachikoma_metrics.conf import Config
from tachikoma_metrics.monitoring.alerts import slow_bound
from tachikoma_metrics.monitoring.dashboard_rows.backends import BACKENDS
from tachikoma_metrics.monitoring.dashboard_rows.business import BUSINESS, FRESHNESS
from tachikoma_metrics.monitoring.dashboard_rows.cache import CACHE
from tachikoma_metrics.monitoring.dashboard_rows.commands import COMMANDS
from tachikoma_metrics.monitoring.dashboard_rows.database import DATABASE
from tachikoma_metrics.monitoring.dashboard_rows.executions import EXECUTIONS
from tachikoma_metrics.monitoring.dashboard_rows.http import HTTP
from tachikoma_metrics.monitoring.dashboard_rows.overview import (
    failing_steps,
    overview,
    slow_steps,
)
from tachikoma_metrics.monitoring.dashboard_rows.process import PROCESS
from tachikoma_metrics.monitoring.dashboard_rows.routes import routes
from tachikoma_metrics.monitoring.dashboard_rows.saturation import SATURATION
from tachikoma_metrics.monitoring.dashboard_rows.slo import slo
from tachikoma_metrics.monitoring.dashboard_rows.tasks import TASKS
from tachikoma_metrics.monitoring.dashboard_rows.websocket import WEBSOCKET
from tachikoma_metrics.monitoring.metric_names import SERVICE, quoted
from tachikoma_metrics.monitoring.objectives import Objectives
from tachikoma_metrics.monitoring.panels import THIRD, Panel, Query, Row, rate
from tachikoma_metrics.registry.shapes import is_on, shape_of


def dashboard_rows(
    config: Config, objectives: Objectives | None = None, native: Collection[str] = ()
) -> Iterator[Row]:
    """Yield the rows of the dashboard, with panels for labels and metrics that settings add.

    The objectives are those of the alerts, and the histograms of ``native`` are queried natively.
    """
    objectives = objectives or Objectives()
    failing, slow = failing_steps(objectives), slow_steps(slow_bound(config, objectives, native))
    yield overview(objectives, failing, slow)
    yield slo(objectives)
    yield _with(HTTP, *_panels_of_added_labels(HTTP, config))
    yield routes(failing, slow)
    for row in (SATURATION, DATABASE, CACHE, WEBSOCKET, TASKS, COMMANDS, EXECUTIONS, BACKENDS):
        yield _with(row, *_panels_of_added_labels(row, config))
    yield _with(BUSINESS, *_panels_of_business_metrics(config), *FRESHNESS)
    yield PROCESS


def _with(row: Row, *panels: Panel) -> Row:
    return Row(row.title, (*row.panels, *panels), is_expanded=row.is_expanded)


def _panels_of_added_labels(row: Row, config: Config) -> Iterator[Panel]:
    """Yield a panel for each label that ``LABELS`` adds to a counter of the row."""
    expressions = " ".join(query.expression for panel in row.panels for query in panel.queries)
    for family in catalogue.FAMILIES.values():
        if not isinstance(family, Counter) or f"{family.name}[" not in expressions:
            continue
        if not is_on(family, config):
            continue
        for label in shape_of(family, config).label_names:
            if label not in family.label_names:
                yield Panel(
                    f"{family.help.rstrip('.')} by {label}",
                    f"Per second, by the label that LABELS adds to {family.name}.",
                    rate(family.name, label, f"{{{{{label}}}}}"),
                    "ops",
                )


def _panels_of_business_metrics(config: Config) -> Iterator[Panel]:
    for family in declared(config):
        if family.name not in catalogue.FAMILIES:
            labels = [_exported(label) for label in family.labels]
            # The name may be a keyword of PromQL.
            series = f"{{__name__={quoted(family.name)}}}"
            expression = f"max by ({', '.join([SERVICE, *labels])}) ({series})"
            legend = " ".join(f"{{{{{label}}}}}" for label in ("job", *labels))
            yield Panel(family.name, family.help, (Query(expression, legend),), width=THIRD)


def _exported(label: str) -> str:
    """Return the name of a label after a scrape: Prometheus renames those of its target labels.

    https://prometheus.io/docs/prometheus/latest/configuration/configuration/#scrape_config
    """
    return f"exported_{label}" if label in ("job", "instance") else label
