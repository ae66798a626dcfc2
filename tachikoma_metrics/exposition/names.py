"""Valid names of metrics and labels.

prometheus_client allows any UTF-8; text 0.0.4 and OpenMetrics 1.0 do not.
https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
"""

from __future__ import annotations

import re
from functools import lru_cache

from prometheus_client import Metric

_ILLEGAL_IN_METRIC = re.compile(r"^[0-9]|[^a-zA-Z0-9_:]")
_ILLEGAL_IN_LABEL = re.compile(r"^[0-9]|[^a-zA-Z0-9_]")

CREATED = "_created"

SUFFIXES: dict[str, tuple[str, ...]] = {
    "counter": ("_total",),
    "gauge": ("",),
    "gaugehistogram": ("_bucket", "_gcount", "_gsum"),
    "histogram": ("_bucket", "_count", "_sum"),
    "info": ("_info",),
    "stateset": ("",),
    "summary": ("", "_count", "_sum"),
    "unknown": ("",),
}
"""The suffixes of the samples of each type of family.

https://prometheus.io/docs/specs/om/open_metrics_spec/#suffixes
"""

TEXT_SUFFIXES = {"counter": "_total", "info": "_info"}
"""What a family's name ends in where names are those of text 0.0.4, by its type."""

WITHOUT_UNIT = ("info", "stateset")
"""The types whose families have no unit."""

HISTOGRAMS = frozenset({"histogram", "gaugehistogram"})

WITH_CREATED = frozenset({"counter", "histogram", "summary"})
"""The types whose families may also have samples that end in ``_created``."""


@lru_cache(8192)
def metric_name(name: str) -> str:
    """Return ``name`` with an underscore in place of each character that is not allowed."""
    return _ILLEGAL_IN_METRIC.sub("_", name)


@lru_cache(8192)
def label_name(name: str) -> str:
    """Return ``name`` with an underscore in place of each character that is not allowed."""
    return _ILLEGAL_IN_LABEL.sub("_", name)


def names_of(metric: Metric) -> frozenset[str]:
    """Return every name that the family takes in an exposition."""
    return _names(metric.name, metric.type)


@lru_cache(8192)
def _names(name: str, type: str) -> frozenset[str]:
    return sample_names(name, type) | {metric_name(name)}


@lru_cache(8192)
def sample_names(name: str, type: str) -> frozenset[str]:
    """Return every name that the samples of a family may have."""
    suffixes = (*SUFFIXES[type], CREATED) if type in WITH_CREATED else SUFFIXES[type]
    return frozenset(metric_name(name) + suffix for suffix in suffixes)
