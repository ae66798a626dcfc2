"""Count one family, by one query or one call."""

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
from tachikoma_metrics.business.families import BusinessFamily
from tachikoma_metrics.catalogue.labels import clean, overflow

Counts = dict[tuple[str, ...], float]
"""Numbers by the values of the labels, in the order of the family's."""


def count(family: BusinessFamily) -> Counts:
    """Return the numbers of a family, of no more than ``CARDINALITY_LIMIT`` label sets.

    Raises whatever the database or the callable raises, and ``ValueError`` or
    ``TypeError`` for a callable's answer that is no number.
    """
    found = _called(family) if family.callable_path else _counted(family)
    return _bounded(found, conf.config().cardinality_limit)


def _bounded(counts: Counts, limit: int) -> Counts:
    if len(counts) <= limit:
        return counts
    kept = dict(list(counts.items())[: limit - 1])
    rest = sum(counts.values()) - sum(kept.values())
    return {**kept, overflow(len(next(iter(counts)))): rest}


# --- rows -------------------------------------------------------------------


def _counted(family: BusinessFamily) -> Counts:
    model = family.model
    rows = model._default_manager.filter(**(family.filter or {}))
    is_multiplied = _is_multiplied(model, family)
    if not family.labels:
        number = rows.aggregate(number=_number_of_rows(model, is_multiplied))["number"]
        return {(): float(number)}
    fields = list(family.labels.values())
    counts: Counts = {_texts(values): 0.0 for values in _choices(model, fields)}
    for *values, number in _grouped(rows, fields, is_multiplied):
        texts = _texts(values)
        counts[texts] = counts.get(texts, 0.0) + number
    return counts


def _grouped(rows: QuerySet[Any], fields: list[str], is_multiplied: bool) -> QuerySet[Any]:
    # The model's own ordering would make more groups.
    number = _number_of_rows(rows.model, is_multiplied)
    # By names of their own: Django 5.2.0 cannot group by a transform as it stands.
    named = {f"_label_{place}": F(field) for place, field in enumerate(fields)}
    groups: QuerySet[Any] = rows.order_by().annotate(**named).values_list(*named)
    groups = groups.annotate(_number=number)
    return groups.order_by()


def _number_of_rows(model: type[Model], is_multiplied: bool) -> Count:
    """Count each row once, however often it is found."""
    key = model._meta.pk
    if is_multiplied and isinstance(key, CompositePrimaryKey):
        # No database that Django knows counts distinct pairs, but all count distinct texts.
        return Count(JSONArray(*key.field_names), distinct=True)
    return Count("pk", distinct=is_multiplied)


def _texts(values: Iterable[Any]) -> tuple[str, ...]:
    return tuple(map(_text, values))


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else clean(value)


def _choices(model: type[Model], fields: list[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the values that there may be, if all fields have choices."""
    choices = [_choices_of(model, field) for field in fields]
    if all(choices) and math.prod(map(len, choices)) <= conf.config().cardinality_limit:
        yield from product(*choices)


def _choices_of(model: type[Model], lookup: str) -> list[Any]:
    field = _last_field(model, lookup)
    return [value for value, _ in field.flatchoices] if field is not None else []


def _last_field(model: type[Model], lookup: str) -> Field[Any, Any] | None:
    """Return the field a look-up leads to; None if it leads further, or elsewhere."""
    fields = list(_fields(model, lookup))
    is_whole = len(fields) == len(lookup.split(LOOKUP_SEP))
    return fields[-1] if is_whole and isinstance(fields[-1], Field) else None


def _fields(model: type[Model], lookup: str) -> Iterator[Any]:
    """Yield the fields that a look-up leads through, as far as its names are of fields."""
    for name in lookup.split(LOOKUP_SEP):
        try:
            field: Any = model._meta.get_field(name)
        except FieldDoesNotExist:
            return
        yield field
        if field.related_model is None:
            return
        model = field.related_model


def _is_multiplied(model: type[Model], family: BusinessFamily) -> bool:
    """Tell whether a row may be found several times, through a relation to many."""
    return any(
        field.one_to_many or field.many_to_many
        for lookup in (*family.labels.values(), *(family.filter or ()))
        for field in _fields(model, lookup)
    )


# --- callables --------------------------------------------------------------


def _called(family: BusinessFamily) -> Counts:
    answer = family.callable()
    if not isinstance(answer, Mapping):
        if family.labels:
            raise TypeError(f"{_should_return(family)}; it returned {reprlib.repr(answer)}.")
        answer = {(): answer}
    return {_key(key, family): _number(value) for key, value in answer.items()}


def _key(key: Any, family: BusinessFamily) -> tuple[str, ...]:
    values = key if isinstance(key, tuple) else (key,)
    if len(values) != len(family.labels):
        raise ValueError(
            f"{_should_return(family)}; it returned a dictionary with the key {reprlib.repr(key)}."
        )
    return _texts(values)


def _should_return(family: BusinessFamily) -> str:
    """Return what the callable of a family should return, in words."""
    names = ", ".join(f"`{name}`" for name in family.labels)
    values = ("", f"value of {names}", f"tuple of values of {names}")[min(len(family.labels), 2)]
    numbers = f"a dictionary with a number for each {values}"
    alone = "a number, as the metric is declared without `labels`"
    return f"{family.callable_path} should return {numbers if values else alone}"


def _number(value: Any) -> float:
    if isinstance(value, (str, bytes)):
        raise TypeError(f"A count should be a number; got {value!r}.")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise TypeError(f"A count should be a number; got {reprlib.repr(value)}.") from error
    if not math.isfinite(number):
        raise ValueError(f"A count should be a finite number; got {value!r}.")
    return number
