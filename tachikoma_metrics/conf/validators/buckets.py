"""Rules for the bucket boundaries of histograms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Any

from tachikoma_metrics.conf.validators.rule import InvalidValue, Rule, require
from tachikoma_metrics.conf.validators.values import is_number

_SORTED = "a sorted list of positive numbers"


def read_buckets(value: Any) -> tuple[float, ...]:
    """Return bucket boundaries as a tuple; raise ``InvalidValue`` unless they increase."""
    require(isinstance(value, Sequence) and not isinstance(value, (str, bytes)))
    require(len(value) > 0 and all(is_number(bound) for bound in value))
    bounds = tuple(float(bound) for bound in value)
    require(all(0 < bound < math.inf for bound in bounds))
    require(all(low < high for low, high in itertools.pairwise(bounds)))
    return bounds


def _buckets_by_metric(value: Any) -> dict[str, tuple[float, ...]]:
    require(isinstance(value, Mapping))
    require(all(isinstance(name, str) for name in value))
    return {name: _buckets_of(name, bounds) for name, bounds in value.items()}


def _buckets_of(name: str, bounds: Any) -> tuple[float, ...]:
    try:
        return read_buckets(bounds)
    except InvalidValue as error:
        raise InvalidValue(name, expectation=_SORTED, got=bounds) from error


BUCKETS = Rule(
    _SORTED,
    "Sort it, and leave out duplicates, zero, NaN and infinity: the last bucket, +Inf, is added "
    "automatically.",
    read_buckets,
)
BUCKETS_BY_METRIC = Rule(
    "a dictionary of histogram names to sorted lists of positive numbers",
    "Sort each list, and leave out duplicates, zero, NaN and infinity.",
    _buckets_by_metric,
)
