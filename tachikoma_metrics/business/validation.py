"""Problems of ``BUSINESS_METRICS`` that can be found without a query."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass

from django.apps import apps
from django.core.exceptions import EmptyResultSet
from django.db import DatabaseError

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.business.callables import signature_error
from tachikoma_metrics.business.declarations import BUILT_IN, QUEUE_LENGTHS, BusinessMetric
from tachikoma_metrics.catalogue.definitions import is_legal_label, is_legal_name


@dataclass(frozen=True)
class Problem:
    """Why a business metric cannot be counted, and how to fix its declaration."""

    message: str
    hint: str


def problems(metric: BusinessMetric) -> Iterator[Problem]:
    """Yield the problems of a declaration; runs no query."""
    yield from name_problems(metric)
    yield from (_callable_problems(metric) if metric.callable_path else _model_problems(metric))


def name_problems(metric: BusinessMetric) -> Iterator[Problem]:
    """Yield the problems of the name of a metric and of its labels."""
    if not is_legal_name(metric.name):
        message = "its name must be a valid metric name, of letters, digits and underscores."
        yield Problem(message, "Rename it.")
    built_in = next((gauge for gauge in BUILT_IN if gauge.name == metric.name), None)
    if built_in is None and metric != QUEUE_LENGTHS and _is_taken(metric.name):
        message = "its name is already used by another metric."
        yield Problem(message, "Rename it.")
    for label in metric.labels:
        if not is_legal_label(label):
            yield Problem(f"{label!r} must be a valid label name.", "Rename the label.")
    if built_in is not None and not set(metric.labels) <= set(built_in.label_names):
        message = (
            f"its labels must be among {list(built_in.label_names)}; got {list(metric.labels)}."
        )
        yield Problem(message, "Remove the label, or rename the metric.")


_RESERVED_PREFIXES = ("process_", "python_", "scrape_", "tachikoma_metrics_")
"""Of metrics of this package, of prometheus_client and of Prometheus itself."""


def _is_taken(name: str) -> bool:
    namespace = conf.config().namespace
    bare = name.removeprefix(f"{namespace}_") if namespace else name
    reserved = frozenset[str]().union(
        *(one.reserved_names(one.name) for one in catalogue.FAMILIES.values())
    )
    return bool({name, bare} & reserved) or name == "up" or name.startswith(_RESERVED_PREFIXES)


def _callable_problems(metric: BusinessMetric) -> Iterator[Problem]:
    message = _callable_error(metric)
    if message:
        yield Problem(message, _CALLABLE_HINT)
    if metric.filter is not None:
        message = "its `filter` must be left out: it applies to models only."
        yield Problem(message, "Filter in the callable.")


_CALLABLE_HINT = (
    "Name the dotted path of a function that takes no arguments and returns a number, such as "
    '"shop.metrics.open_orders".'
)


def _callable_error(metric: BusinessMetric) -> str:
    try:
        reason = signature_error(metric.callable)
    except TypeError as error:
        return str(error)
    except Exception as error:
        return f"its callable, {metric.callable_path!r}, cannot be imported: {error}"
    return reason and (
        f"its callable, {metric.callable_path!r}, cannot be called without arguments: {reason}."
    )


def _model_problems(metric: BusinessMetric) -> Iterator[Problem]:
    try:
        model = metric.model
    except (LookupError, ValueError):
        label = metric.model_label
        message = f"its model must be that of an installed app, as `app.Model`; got {label!r}."
        yield Problem(message, _model_hint(label))
        return
    try:
        # Resolves the fields and compiles SQL, without a query.
        rows = model._default_manager.filter(**(metric.filter or {}))
        str(rows.values(*metric.labels.values()).query)
    except (EmptyResultSet, DatabaseError):
        # The filter matches nothing, or compiling needs a connection.
        return
    except Exception as error:
        message = f"its `filter` and `labels` must name fields of {metric.model_label}: {error}"
        yield Problem(message, "Name fields, or lookups such as `team__slug`.")


def _model_hint(written: str) -> str:
    """Suggest the label of a model with the same name, or with a similar label."""
    labels = {model._meta.label.lower(): model._meta.label for model in apps.get_models()}
    lowered = written.lower().strip(".")
    name = lowered.rpartition(".")[2]
    named = [label for label in labels if label.rpartition(".")[2] == name]
    # Of several models with one name, the one whose app is named comes first.
    for label in sorted(named, key=lambda one: one.partition(".")[0] not in lowered.split(".")):
        return f'Write "{labels[label]}".'
    for match in difflib.get_close_matches(lowered, labels, n=1):
        return f'Did you mean "{labels[match]}"?'
    return 'Write the label of the app and the name of the model, as in "auth.User".'
