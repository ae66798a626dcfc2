"""The valid exemplars of samples.

https://prometheus.io/docs/specs/om/open_metrics_spec/#exemplars
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tachikoma_metrics.exposition.points import Point

_SUFFIXES = {
    "counter": "_total",
    "histogram": "_bucket",
    "gaugehistogram": "_bucket",
}
"""The suffix of the samples that may have exemplars, by the type of their family."""

_MOST_CHARACTERS = 128


class ValidExemplar(NamedTuple):
    """An exemplar that can be written; ``timestamp`` is as it was given, in seconds."""

    labels: Mapping[str, str]
    value: float
    timestamp: Any


def exemplar_of(point: Point, type: str) -> ValidExemplar:
    """Return the exemplar of a sample that has one, of a family of this type.

    Raises ``ValueError`` for one that no format allows, and what an object raises that is none.
    """
    if point.suffix != _SUFFIXES.get(type):
        raise ValueError(f"{point.place.series} must have no exemplar.")
    return valid(point.sample.exemplar)


def valid(exemplar: Any) -> ValidExemplar:
    """Return the exemplar of a sample that may have one; raise as ``exemplar_of`` does."""
    labels = {name: str(value) for name, value in exemplar.labels.items()}
    if sum(len(name) + len(value) for name, value in labels.items()) > _MOST_CHARACTERS:
        raise ValueError(f"An exemplar must have at most 128 characters; got {labels}.")
    return ValidExemplar(labels, float(exemplar.value), exemplar.timestamp)
