"""The declaration of a view: metrics under the names of another package.

A view is data. Its metrics are derived from those of the catalogue when they are exposed: label
sets are renamed and added up, and nothing is counted twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tachikoma_metrics.catalogue.definitions import Buckets

DATABASE_VENDOR = "vendor"
DATABASE_SYSTEM = "system"
CACHE_BACKEND = "backend"
"""What a label may take from the settings of the project, by the alias in the source's label."""

LookUp = Callable[[str, str], str]
"""Takes one of the above and an alias, and returns what the settings have for it."""


@dataclass(frozen=True)
class DerivedLabel:
    """Declare one label of a derived metric, and how its values follow from another label.

    ``source`` is that label, of the same name by default. ``renamed`` has values that have
    another name. Values that the regular expression ``only`` does not match become empty, which
    to Prometheus is a label that is absent. ``looked_up`` names what the settings of the project
    have for the value, an alias.
    """

    name: str
    source: str = ""
    renamed: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    only: str = field(default="", kw_only=True)
    looked_up: str = field(default="", kw_only=True)

    @property
    def source_name(self) -> str:
        """Return the name of the label that the values come from."""
        return self.source or self.name

    def value(self, given: str, look_up: LookUp) -> str:
        """Return the value that follows from the source's."""
        if self.looked_up:
            given = look_up(self.looked_up, given)
        if self.only and not re.fullmatch(self.only, given):
            return ""
        return self.renamed.get(given, given)


@dataclass(frozen=True)
class DerivedMetric:
    """Declare a metric that is the sum of label sets of other metrics.

    ``name`` is the name in queries, ``sources`` are names of metrics in the catalogue, whose
    values are added up; without any, the value is constantly 0. ``skipped`` has, by label of the
    sources, the values of label sets that are not counted. ``buckets`` are the upper bounds of a
    histogram, which the sources then have, too. ``difference`` says in which cases the package
    that is replaced would have counted otherwise.
    """

    name: str
    type: str
    help: str
    sources: tuple[str, ...] = ()
    labels: tuple[DerivedLabel, ...] = ()
    skipped: Mapping[str, frozenset[str]] = field(default_factory=dict, kw_only=True)
    buckets: Buckets = field(default=(), kw_only=True)
    difference: str = field(default="", kw_only=True)

    @property
    def label_names(self) -> tuple[str, ...]:
        """Return the names of the labels, in order."""
        return tuple(label.name for label in self.labels)

    @property
    def needed_labels(self) -> tuple[str, ...]:
        """Return the names of the labels that the sources must have."""
        return tuple(dict.fromkeys([*(one.source_name for one in self.labels), *self.skipped]))


@dataclass(frozen=True)
class View:
    """Declare the metrics of another package that are derived from those of the catalogue.

    ``missing`` has the reason for each of its metrics that cannot be derived. The settings of
    that package are honoured: ``namespace_setting`` names the one with the prefix of all names,
    ``bucket_setting`` the one that replaces the buckets ``default_buckets``.
    """

    name: str
    metrics: tuple[DerivedMetric, ...]
    missing: Mapping[str, str]
    namespace_setting: str = ""
    bucket_setting: str = ""
    default_buckets: Buckets = ()
