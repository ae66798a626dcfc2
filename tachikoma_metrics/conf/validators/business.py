"""The rule for the declarations of business metrics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tachikoma_metrics.conf.validators.rule import Rule, are_texts, require, require_part

_KEYS = ("model", "callable", "filter", "labels", "help")


def _business_metrics(value: Any) -> dict[str, Mapping[str, Any]]:
    require(isinstance(value, Mapping))
    for name, declaration in value.items():
        _require_declaration(name, declaration)
        _require_known_keys(name, declaration)
        _require_source(name, declaration)
        _require_filter(name, declaration)
        _require_labels(name, declaration)
    return dict(value)


def _require_declaration(name: Any, declaration: Any) -> None:
    require_part(isinstance(name, str), name, must_be="under a name that is a string", got=name)
    require_part(
        isinstance(declaration, Mapping),
        name,
        must_be="a dictionary with 'model' or 'callable'",
        got=declaration,
        hint=f'Correct it. Example: {{"{name}": {{"model": "shop.Order"}}}}',
    )


def _require_known_keys(name: str, declaration: Mapping[str, Any]) -> None:
    hint = f'Its keys may be {", ".join(map(repr, _KEYS))}. Example: {{"model": "shop.Order"}}'
    for key in declaration:
        known = key in _KEYS
        require_part(known, name, must_be="a dictionary of known keys", got=key, hint=hint)


def _require_source(name: str, declaration: Mapping[str, Any]) -> None:
    sources = [key for key in ("model", "callable") if key in declaration]
    require_part(
        len(sources) == 1,
        name,
        must_be="a dictionary with either 'model' or 'callable'",
        got=dict(declaration),
        hint='{"model": "shop.Order"} counts rows; {"callable": "shop.metrics.open_orders"} '
        "returns numbers.",
    )
    source = declaration[sources[0]]
    must_be = "the label of a model, as text" if sources == ["model"] else "a dotted path"
    example = "shop.Order" if sources == ["model"] else "shop.metrics.open_orders"
    is_text = isinstance(source, str)
    hint = f'Correct it. Example: "{sources[0]}": "{example}"'
    require_part(is_text, name, sources[0], must_be=must_be, got=source, hint=hint)


def _require_filter(name: str, declaration: Mapping[str, Any]) -> None:
    filter = declaration.get("filter")
    is_filter = filter is None or isinstance(filter, Mapping)
    must_be = "a dictionary of keyword arguments for .filter()"
    hint = 'Correct it. Example: "filter": {"closed_at": None}'
    require_part(is_filter, name, "filter", must_be=must_be, got=filter, hint=hint)


def _require_labels(name: str, declaration: Mapping[str, Any]) -> None:
    labels = declaration.get("labels")
    if labels is None or labels in ({}, [], ()):
        return
    is_model = "model" in declaration
    is_met, must_be, hint = _of_model(labels) if is_model else _of_callable(labels)
    require_part(is_met, name, "labels", must_be=must_be, got=labels, hint=hint)


def _of_model(labels: Any) -> tuple[bool, str, str]:
    is_met = isinstance(labels, Mapping) and are_texts([*labels, *labels.values()])
    example = _names_in(labels)[0]
    return (
        is_met,
        "a dictionary of label names to fields or lookups of the model",
        f'Correct it. Example: "labels": {{"{example}": "{example}"}}',
    )


def _of_callable(labels: Any) -> tuple[bool, str, str]:
    is_met = isinstance(labels, (list, tuple, set, frozenset)) and are_texts(labels)
    names = ", ".join(f'"{name}"' for name in _names_in(labels))
    return (
        is_met,
        "a list of label names, in the order in which the callable returns their values",
        f'Correct it. Example: "labels": [{names}]',
    )


def _names_in(labels: Any) -> list[str]:
    listed = list(labels) if isinstance(labels, (list, tuple, set, Mapping)) else [labels]
    return [one for one in listed if isinstance(one, str)] or ["status"]


BUSINESS_METRICS = Rule(
    "a dictionary of metric names to dictionaries with either 'model' or 'callable', and 'labels', "
    "'filter' and 'help' as needed",
    "The 'labels' of a callable are a list of their names.",
    _business_metrics,
)
