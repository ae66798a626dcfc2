"""The business metrics that ``BUSINESS_METRICS`` declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db.models import Model
from django.utils.module_loading import import_string

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.business.callables import is_coroutine_function
from tachikoma_metrics.catalogue.definitions import Gauge
from tachikoma_metrics.conf import Config

BUILT_IN: tuple[Gauge, ...] = (catalogue.MISSIONS, catalogue.SPECS)
"""The metrics of the catalogue that become business metrics if they are declared."""

CATALOGUED: tuple[Gauge, ...] = (*BUILT_IN, catalogue.TASK_QUEUE_LENGTH)
"""The metrics of the catalogue whose values a refresh sets."""


@dataclass(frozen=True)
class BusinessMetric:
    """A gauge of the number of rows of a model, or of the values that a callable returns.

    ``labels`` maps label names to fields or lookups of the model.
    """

    name: str
    help: str
    labels: Mapping[str, str]
    model_label: str = ""
    callable_path: str = ""
    filter: Mapping[str, Any] | None = None

    @property
    def calls_project_code(self) -> bool:
        """Return whether the values come from a callable of the project."""
        return bool(self.callable_path) and self != QUEUE_LENGTHS

    @property
    def model(self) -> type[Model]:
        """Return the model; raise ``LookupError`` or ``ValueError`` if there is none."""
        return apps.get_model(self.model_label)

    @property
    def callable(self) -> Callable[[], Any]:
        """Return the callable; raise ``ImportError`` or ``TypeError`` if it is none."""
        found = import_string(self.callable_path)
        if not callable(found):
            raise TypeError(f"{self.callable_path} must be a callable; it is {found!r}.")
        if is_coroutine_function(found):
            raise TypeError(
                f"{self.callable_path} must be a sync function; it is a coroutine function, which "
                "a refresh cannot await."
            )
        return found  # type: ignore[no-any-return]  # counting checks the result.


QUEUE_LENGTHS = BusinessMetric(
    name=catalogue.TASK_QUEUE_LENGTH.name,
    help=catalogue.TASK_QUEUE_LENGTH.help,
    labels=dict.fromkeys(catalogue.TASK_QUEUE_LENGTH.label_names, ""),
    callable_path="tachikoma_metrics.task_runs.queue_lengths.queue_lengths",
)
"""The metric that ``EXTRA_METRICS`` declares."""


def declared(config: Config | None = None) -> list[BusinessMetric]:
    """Return the business metrics that ``config``, or the current settings, declare."""
    config = config or conf.config()
    metrics = [_metric(name, written) for name, written in config.business_metrics.items()]
    if config.measures_queue_lengths and QUEUE_LENGTHS.name not in config.business_metrics:
        metrics.append(QUEUE_LENGTHS)
    return metrics


def _metric(name: str, declaration: Mapping[str, Any]) -> BusinessMetric:
    labels = declaration.get("labels") or {}
    return BusinessMetric(
        name=name,
        help=str(declaration.get("help") or _help(name, declaration)),
        labels=dict(labels) if isinstance(labels, Mapping) else dict.fromkeys(labels, ""),
        model_label=str(declaration.get("model", "")),
        callable_path=str(declaration.get("callable", "")),
        filter=declaration.get("filter"),
    )


def _help(name: str, declaration: Mapping[str, Any]) -> str:
    for gauge in BUILT_IN:
        if gauge.name == name:
            return gauge.help
    if "callable" in declaration:
        return f"Value returned by {declaration['callable']}."
    return f"Number of {declaration['model']} rows."
