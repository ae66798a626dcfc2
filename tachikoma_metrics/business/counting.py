"""The values of one business metric, by one query or one call."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import product
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import CompositePrimaryKey, Count, F, Field, Model, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.db.models.functions import JSONArray

from tachikoma_metrics import conf
from tachikoma_metrics.business.declarations import BusinessMetric
from tachikoma_metrics.catalogue.labels import clean, overflow

Counts = dict[tuple[str, ...], float]
"""Values by label values, in the order of the label names."""


def count(metric: BusinessMetric) -> Counts:
    """Return the values of a metric, with ``CARDINALITY_LIMIT`` label sets at most.

    Raises whatever the database or the callable raises, and ``ValueError`` or
    ``TypeError`` if the callable returns anything but numbers.
    """
    found = _called(metric) if metric.callable_path else _counted(metric)
    return _bounded(found, conf.config().cardinality_limit)


def _bounded(counts: Counts, limit: int) -> Counts:
    if len(counts) <= limit:
        return counts
    kept = dict(list(counts.items())[: limit - 1])
    rest = sum(counts.values()) - sum(kept.values())
    return {**kept, overflow(len(next(iter(counts)))): rest}


# --- rows -------------------------------------------------------------------


def _counted(metric: BusinessMetric) -> Counts:
    model = metric.model
    rows = model._default_manager.filter(**(metric.filter or {}))
    is_multiplied = _is_multiplied(model, metric)
    if not metric.labels:
        number = rows.aggregate(number=_number_of_rows(model, is_multiplied))["number"]
        return {(): float(number)}
    fields = list(metric.labels.values())
    counts: Counts = {_texts(values): 0.0 for values in _choices(model, fields)}
    for *values, number in _grouped(rows, fields, is_multiplied):
        texts = _texts(values)
        counts[texts] = counts.get(texts, 0.0) + number
    return counts


def _grouped(rows: QuerySet[Any], fields: list[str], is_multiplied: bool) -> QuerySet[Any]:
    # Without the default ordering of the model, which would be part of the grouping.
    number = _number_of_rows(rows.model, is_multiplied)
    # By annotations: Django 5.2.0 cannot group by a transform directly.
    named = {f"_label_{place}": F(field) for place, field in enumerate(fields)}
    groups: QuerySet[Any] = rows.order_by().annotate(**named).values_list(*named)
    groups = groups.annotate(_number=number)
    return groups.order_by()


def _number_of_rows(model: type[Model], is_multiplied: bool) -> Count:
    """Return the aggregate that counts each row once, however often a join repeats it."""
    key = model._meta.pk
    if is_multiplied and isinstance(key, CompositePrimaryKey):
        # No database that Django supports counts distinct pairs, but all count distinct texts.
        return Count(JSONArray(*key.field_names), distinct=True)
    return Count("pk", distinct=is_multiplied)


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(map(_text, values))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else clean(value)


def _choices(model: type[Model], fields: list[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the possible values, if all fields have choices."""
    choices = [_choices_of(model, field) for field in fields]
    if all(choices) and math.prod(map(len, choices)) <= conf.config().cardinality_limit:
        yield from product(*choices)


def _choices_of(model: type[Model], lookup: str) -> list[Any]:
    field = _last_field(model, lookup)
    return [value for value, _ in field.flatchoices] if field is not None else []


def _last_field(model: type[Model], lookup: str) -> Field[Any, Any] | None:
    """Return the field that a lookup ends with; None if it ends with a transform."""
    fields = list(_fields(model, lookup))
    is_whole = len(fields) == len(lookup.split(LOOKUP_SEP))
    return fields[-1] if is_whole and isinstance(fields[-1], Field) else None


def _fields(model: type[Model], lookup: str) -> Iterator[Any]:
    """Yield the fields that a lookup traverses, up to the first name that is no field."""
    for name in lookup.split(LOOKUP_SEP):
        try:
            field: Any = model._meta.get_field(name)
        except FieldDoesNotExist:
            return
        yield field
        if field.related_model is None:
            return
        model = field.related_model


def _is_multiplied(model: type[Model], metric: BusinessMetric) -> bool:
    """Return whether a join may repeat a row: through a to-many relation."""
    return any(
        field.one_to_many or field.many_to_many
        for lookup in (*metric.labels.values(), *(metric.filter or ()))
        for field in _fields(model, lookup)
    )


# --- callables --------------------------------------------------------------


def _called(metric: BusinessMetric) -> Counts:
    result = metric.callable()
    if not isinstance(result, Mapping):
        if metric.labels:
            raise TypeError(f"{_must_return(metric)}; it returned {reprlib.repr(result)}.")
        result = {(): result}
    return {_key(key, metric): _number(value) for key, value in result.items()}


def _key(key: Any, metric: BusinessMetric) -> tuple[str, ...]:
    values = key if isinstance(key, tuple) else (key,)
    if len(values) != len(metric.labels):
        raise ValueError(
            f"{_must_return(metric)}; it returned a dictionary with the key {reprlib.repr(key)}."
        )
    return _texts(values)


def _must_return(metric: BusinessMetric) -> str:
    """Return the part of an error message that says what a callable must return."""
    names = ", ".join(f"`{name}`" for name in metric.labels)
    values = ("", f"value of {names}", f"tuple of values of {names}")[min(len(metric.labels), 2)]
    numbers = f"a dictionary with a number for each {values}"
    alone = "a number, as the metric is declared without `labels`"
    return f"{metric.callable_path} must return {numbers if values else alone}"


def _number(value: Any) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"A count must be a number; got {value!r}.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"A count must be a number; got {reprlib.repr(value)}.") from error
    if not math.isfinite(number):
        raise ValueError(f"A count must be a finite number; got {value!r}.")
    return number
