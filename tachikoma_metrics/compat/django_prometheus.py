"""The mixin of django-prometheus that counts what is done to the rows of a model.

The metrics have the same names and labels. They also count ``bulk_create``, ``bulk_update``, and
``update`` and ``delete`` of a query set, of which django-prometheus counts nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.db.models import QuerySet
from prometheus_client import REGISTRY, Counter

from tachikoma_metrics import conf
from tachikoma_metrics.registry import METRICS

_NAME = "_tachikoma_metrics_operations"
"""The attribute of a model with the mixin: the value of the label."""

_HELP = {
    "inserts": "Rows inserted by model.",
    "updates": "Rows updated by model.",
    "deletes": "Rows deleted by model.",
}


def ExportModelOperationsMixin(model_name: str) -> Any:
    """Return a mixin for a model whose operations are counted, with ``model`` as ``model_name``.

    It replaces the mixin of ``django_prometheus.models``, also in migrations, which name it. Rows
    are counted in ``django_model_inserts_total``, ``django_model_updates_total`` and
    ``django_model_deletes_total``, with the prefix of ``PROMETHEUS_METRIC_NAMESPACE``: by
    ``save`` and ``delete`` of a row, and by ``bulk_create``, ``bulk_update``, ``update`` and
    ``delete`` of a query set. Rows that are deleted with others, by a foreign key, are not.
    """
    for operation in _HELP:
        _counter(operation).labels(model_name)
    _count_query_sets()

    class Mixin:
        """Count the operations on single rows."""

        def _do_insert(self, *args: Any, **kwargs: Any) -> Any:
            _count("inserts", model_name, 1)
            return super()._do_insert(*args, **kwargs)  # type: ignore[misc]  # A model's method.

        def _do_update(self, *args: Any, **kwargs: Any) -> Any:
            _count("updates", model_name, 1)
            return super()._do_update(*args, **kwargs)  # type: ignore[misc]  # A model's method.

        def delete(self, *args: Any, **kwargs: Any) -> Any:
            """Delete the row, as a model does."""
            _count("deletes", model_name, 1)
            return super().delete(*args, **kwargs)  # type: ignore[misc]  # A model's method.

    # Templates must not call it, as they must not call a model's.
    Mixin.delete.alters_data = True  # type: ignore[attr-defined]
    setattr(Mixin, _NAME, model_name)
    Mixin.__qualname__ = f"ExportModelOperationsMixin({model_name!r})"
    return Mixin


def _counter(operation: str) -> Counter:
    """Return the counter of an operation: that of django-prometheus, where it is installed.

    A second counter of one name could not be registered.
    """
    return _counters().get(operation) or _new_counter(operation)


@functools.cache
def _counters() -> dict[str, Counter]:
    try:
        from django_prometheus import models
    except ImportError:
        return {}
    return {operation: getattr(models, f"model_{operation}") for operation in _HELP}


@functools.cache
def _new_counter(operation: str) -> Counter:
    return Counter(
        f"django_model_{operation}_total",
        _HELP[operation],
        ["model"],
        namespace=conf.django_prometheus_namespace(),
        registry=REGISTRY,
    )


def _count(operation: str, model_name: str, rows: int) -> None:
    try:
        _counter(operation).labels(model_name).inc(rows)
    except Exception as error:
        METRICS.count_error("model", error, model_name)


@functools.cache
def _count_query_sets() -> None:
    """Count the rows that query sets insert, update and delete, from now on."""
    _wrap("bulk_create", "inserts", lambda query_set, result: len(result))
    _wrap("update", "updates", lambda query_set, result: result)
    _wrap("delete", "deletes", _deleted)


def _deleted(query_set: Any, result: tuple[int, dict[str, int]]) -> int:
    """Return the rows of the model itself, without those that were deleted with them."""
    return result[1].get(query_set.model._meta.label, 0)


def _wrap(method_name: str, operation: str, rows_of: Callable[[Any, Any], int]) -> None:
    method = getattr(QuerySet, method_name)

    @functools.wraps(method)
    def counting(self: Any, *args: Any, **kwargs: Any) -> Any:
        result = method(self, *args, **kwargs)
        model_name = getattr(self.model, _NAME, None)
        if model_name is not None:
            _count_rows(operation, model_name, rows_of, self, result)
        return result

    setattr(QuerySet, method_name, counting)


def _count_rows(
    operation: str,
    model_name: str,
    rows_of: Callable[[Any, Any], int],
    query_set: Any,
    result: Any,
) -> None:
    try:
        rows = rows_of(query_set, result)
    except Exception as error:
        METRICS.count_error("model", error, model_name)
    else:
        _count(operation, model_name, rows)
