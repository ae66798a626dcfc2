"""Rules for the names of metrics and labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tachikoma_metrics.catalogue.definitions import is_legal_label
from tachikoma_metrics.conf.validators.rule import Rule, require, require_part

_VALID_LABELS = (
    "A label name has letters, digits and underscores, does not start with a digit or two "
    "underscores, and is neither 'le' nor 'quantile'."
)


def _namespace(value: Any) -> str:
    require(isinstance(value, str))
    require(not value or re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", value) is not None)
    return str(value)


def _pairs(value: Any) -> list[tuple[Any, Any]]:
    if isinstance(value, Mapping):
        return list(value.items())
    require(isinstance(value, Iterable) and not isinstance(value, (str, bytes)))
    pairs = [pair if isinstance(pair, (list, tuple)) else () for pair in value]
    require(all(len(pair) == 2 for pair in pairs))
    return [(first, second) for first, second in pairs]


def _global_labels(value: Any) -> tuple[tuple[str, str], ...]:
    pairs = _pairs(value)
    require(all(isinstance(name, str) and is_legal_label(name) for name, _ in pairs))
    require(all(isinstance(text, str) for _, text in pairs))
    require(len({name for name, _ in pairs}) == len(pairs))
    return tuple(pairs)


def _labels_by_metric(value: Any) -> dict[str, tuple[str, ...]]:
    require(isinstance(value, Mapping))
    require(all(isinstance(metric, str) for metric in value))
    for metric, names in value.items():
        is_list = isinstance(names, (list, tuple)) and all(isinstance(one, str) for one in names)
        is_met = is_list and len(set(names)) == len(names)
        require_part(is_met, metric, must_be="a list of different label names", got=names)
    return {metric: tuple(names) for metric, names in value.items()}


def _extra_labels(value: Any) -> dict[str, str]:
    require(isinstance(value, Mapping))
    for name, dotted_path in value.items():
        _require_label(name)
        is_path = isinstance(dotted_path, str) and "." in dotted_path
        require_part(is_path, name, must_be="the dotted path of a callable", got=dotted_path)
    return dict(value)


def _require_label(name: Any) -> None:
    is_valid = isinstance(name, str) and is_legal_label(name)
    must_be = "under a valid label name"
    require_part(is_valid, name, must_be=must_be, got=name, hint=_VALID_LABELS)


NAMESPACE = Rule(
    "a valid metric name prefix, or an empty string",
    "Use letters, digits and underscores, not starting with a digit; the underscore before the "
    "metric's name is added automatically.",
    _namespace,
)
GLOBAL_LABELS = Rule(
    "a dictionary, or a list of pairs, of valid and different label names to strings",
    f"{_VALID_LABELS} Convert other values with str().",
    _global_labels,
)
LABELS_BY_METRIC = Rule(
    "a dictionary of metric names to lists of different label names", "", _labels_by_metric
)
EXTRA_LABELS = Rule(
    "a dictionary of valid label names to dotted paths of callables", "", _extra_labels
)
