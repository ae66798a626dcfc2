"""The declaration of a metric: everything but its values.

A metric family is declared once, as data (see ``catalogue``); the objects that hold values, the
exposition and the reference are derived from these declarations. Nothing here imports more than
the standard library, so a declaration can be read without Django and without prometheus_client.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar

Buckets = tuple[float, ...]
"""The upper bounds of a histogram, rising, without ``+Inf``."""

_LEGAL_LABEL = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
_RESERVED_LABELS = frozenset({"le", "quantile"})


_LEGAL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


def is_legal_name(name: str) -> bool:
    """Return whether ``name`` is a valid metric name; colons are for recording rules.

    https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
    """
    return _LEGAL_NAME.fullmatch(name) is not None


def is_legal_label(name: str) -> bool:
    """Return whether ``name`` is a valid name of a label.

    https://prometheus.io/docs/concepts/data_model/#metric-names-and-labels
    """
    return _LEGAL_LABEL.fullmatch(name) is not None and name not in _RESERVED_LABELS


@dataclass(frozen=True)
class Label:
    """Declare one label, and describe its values.

    ``is_closed`` tells whether they are a short list that is known beforehand: such a label
    keeps its value where the others become ``overflow``.
    """

    name: str
    values: str
    is_closed: bool = field(default=False, kw_only=True)


@dataclass(frozen=True)
class Family:
    """Declare one metric family.

    ``name`` is the name in queries, ``help`` a noun phrase that says what one unit of the value
    is, ``labels`` the standard labels in order, ``optional`` the labels that ``LABELS`` may add,
    and ``recorded_by`` the API or instrumentation that records it. An ``opt_in`` family is off
    unless ``EXTRA_METRICS`` names it. A counter or histogram that ``has_exemplars`` gets those
    that ``EXEMPLARS`` asks for.
    """

    name: str
    help: str
    labels: tuple[Label, ...] = ()
    optional: tuple[Label, ...] = ()
    recorded_by: str = field(kw_only=True)
    opt_in: bool = field(default=False, kw_only=True)
    has_exemplars: bool = field(default=False, kw_only=True)

    type: ClassVar[str]

    @property
    def is_own_health(self) -> bool:
        """Return whether this is about tachikoma_metrics itself."""
        return self.name.startswith("tachikoma_metrics_")

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the names of the standard labels, in order."""
        return tuple(label.name for label in self.labels)

    @property
    def allowed_label_names(self) -> tuple[str, ...]:
        """Return the names of all labels that the instrumentation has values for."""
        return tuple(label.name for label in self.labels + self.optional)

    @property
    def closed_label_names(self) -> frozenset[str]:
        """Return the names of the labels whose values are a short list."""
        return frozenset(one.name for one in self.labels + self.optional if one.is_closed)

    def reserved_names(self, full_name: str) -> frozenset[str]:
        """Return every name that this family takes in an exposition as ``full_name``."""
        return frozenset({full_name})


@dataclass(frozen=True)
class Counter(Family):
    """Declare a total that only increases; its name ends in ``_total``.

    https://prometheus.io/docs/practices/naming/#metric-names
    """

    type: ClassVar[str] = "counter"

    def reserved_names(self, full_name: str) -> frozenset[str]:
        """Return the family name of OpenMetrics and the sample names.

        https://prometheus.io/docs/specs/om/open_metrics_spec/#counter-1
        """
        stem = full_name.removesuffix("_total")
        return frozenset({stem, f"{stem}_total", f"{stem}_created"})


@dataclass(frozen=True)
class Gauge(Family):
    """Declare a value that goes up and down.

    https://prometheus.io/docs/concepts/metric_types/#gauge

    ``latest_wins`` says how the values of several processes are aggregated: the most recently
    set value if true, the sum over live processes if not. A gauge whose latest value wins has no
    sample before it is first set, because zero would be wrong. A gauge that ``starts_unset`` is
    the sum over the live processes that have set it, and has no sample without any. A gauge that
    ``is_per_scrape`` is computed for each scrape, and not stored. The value of a process that
    dies is added to ``lost``, a counter with the same labels.
    """

    type: ClassVar[str] = "gauge"
    latest_wins: bool = field(default=False, kw_only=True)
    starts_unset: bool = field(default=False, kw_only=True)
    is_per_scrape: bool = field(default=False, kw_only=True)
    lost: Counter | None = field(default=None, kw_only=True)


@dataclass(frozen=True)
class Histogram(Family):
    """Declare a distribution.

    https://prometheus.io/docs/concepts/metric_types/#histogram

    ``buckets`` are the upper bounds, without ``+Inf``; ``bucket_setting`` names
    the setting that replaces them for a group of families.
    """

    type: ClassVar[str] = "histogram"
    buckets: Buckets = field(kw_only=True)
    bucket_setting: str | None = field(default=None, kw_only=True)

    def reserved_names(self, full_name: str) -> frozenset[str]:
        """Return the family name and its sample names."""
        suffixes = ("", "_bucket", "_sum", "_count", "_created")
        return frozenset(full_name + suffix for suffix in suffixes)
