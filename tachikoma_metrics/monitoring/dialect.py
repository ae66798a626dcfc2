"""The names that settings give families and labels, as a dialect of PromQL.

Panels and rules are written in PromQL with the names of the catalogue, as one reads them in the
reference. ``Dialect`` says them in the names of a service: with its namespace, without the
labels that it dropped, and restricted to what a selector asks for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from tachikoma_metrics import catalogue
from tachikoma_metrics.business.families import declared
from tachikoma_metrics.conf import Config
from tachikoma_metrics.definitions import Family
from tachikoma_metrics.registry.metrics import is_on, shape_of

SERVICE = "service"
"""Stands, where labels are listed, for all labels that tell one service from another."""

LABELS_OF_TARGETS = frozenset({"job", "instance", "le"})
"""Labels that no family declares: Prometheus gives the first two to whatever it scrapes.

https://prometheus.io/docs/concepts/jobs_instances/
"""

OF_PROCESSES: Mapping[str, tuple[str, ...]] = {
    "process_cpu_seconds_total": (),
    "process_max_fds": (),
    "process_open_fds": (),
    "process_resident_memory_bytes": (),
    "process_start_time_seconds": (),
    "python_gc_collections_total": ("generation",),
}
"""Families of prometheus_client's own that panels show, and their labels.

https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
"""

OF_PROMETHEUS: Mapping[str, tuple[str, ...]] = {"up": ()}
"""What Prometheus itself says of each target.

https://prometheus.io/docs/concepts/jobs_instances/#automatically-generated-labels-and-time-series
"""

_INSTEAD_OF = {"path": "view"}
_RECORDED = re.compile(r"\bjob\w*:\w+:\w+")
_LISTED = re.compile(r"\b(by|without|on|ignoring|group_left|group_right) \(([^)]*)\)")
_MATCHED_LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_IN_LEGEND = re.compile(r"\{\{(\w+)\}\}")


class NotMeasured(Exception):
    """Raised when an expression is about something that the settings leave out."""


class Series(NamedTuple):
    """What the samples of a family are called, and which labels they have."""

    name: str
    labels: tuple[str, ...]


def recorded_names(expression: str) -> list[str]:
    """Return the names of the recording rules that an expression reads."""
    return _RECORDED.findall(expression)


@dataclass(frozen=True)
class Dialect:
    """Say expressions in the names of a service whose settings are ``config``.

    ``selector`` is added to the matchers of every series, such as ``job="shop"``.
    """

    config: Config
    selector: str = ""
    families: Mapping[str, Series] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "families", dict(_families(self.config)))

    @cached_property
    def service_labels(self) -> tuple[str, ...]:
        """Return the labels that tell one service from another: ``job`` and the global ones."""
        extra = [name for name, _ in self.config.global_labels if name not in LABELS_OF_TARGETS]
        return ("job", *extra)

    def say(self, expression: str) -> str:
        """Return ``expression`` in the service's names; raise ``NotMeasured`` if it cannot be."""
        named = self._named(expression)
        for name in named - set(self.families):
            raise NotMeasured(f"`{name}` is not measured")
        listed = _LISTED.sub(lambda match: self._list(match, named), expression)
        recorded = _RECORDED.sub(lambda match: self._restricted(match[0]), listed)
        return self._series.sub(self._select, recorded)

    def legend(self, text: str, expression: str) -> str:
        """Return a legend without the labels that the series of ``expression`` do not have."""
        named = self._named(expression)

        def placeholder(match: re.Match[str]) -> str:
            label = self._kept(match[1], named)
            return f"{{{{{label}}}}}" if label else ""

        return " ".join(_IN_LEGEND.sub(placeholder, text).split())

    @cached_property
    def _series(self) -> re.Pattern[str]:
        known = {*catalogue.FAMILIES, *OF_PROCESSES, *self.families}
        # The longest first: one name may begin another.
        names = sorted(known, key=len, reverse=True)
        return re.compile(
            rf"(?<![\w:$])(?P<name>{'|'.join(names)})(?P<suffix>_bucket|_sum|_count)?"
            r"(?P<matchers>\{[^}]*\})?(?![\w:])"
        )

    def _named(self, expression: str) -> set[str]:
        return {match["name"] for match in self._series.finditer(expression)}

    def _list(self, match: re.Match[str], named: set[str]) -> str:
        wanted: list[str] = []
        for label in match[2].split(","):
            if label.strip() == SERVICE:
                wanted += self.service_labels
            elif (kept := self._kept(label.strip(), named)) is not None:
                wanted.append(kept)
        return f"{match[1]} ({', '.join(wanted)})"

    def _kept(self, label: str, named: set[str]) -> str | None:
        """Return the label, or what stands in for it, if a family of the expression has it."""
        if label in LABELS_OF_TARGETS:
            return label
        possible = {known for name in named for known in self.families[name].labels}
        return next((known for known in (label, _INSTEAD_OF.get(label)) if known in possible), None)

    def _select(self, match: re.Match[str]) -> str:
        name, labels = self.families[match["name"]]
        matchers = (match["matchers"] or "")[1:-1]
        for label in _MATCHED_LABEL.findall(matchers):
            if label not in labels and label not in LABELS_OF_TARGETS:
                raise NotMeasured(f"`{match['name']}` has no label `{label}`")
        return self._restricted(f"{name}{match['suffix'] or ''}", matchers)

    def _restricted(self, series: str, matchers: str = "") -> str:
        said = ",".join(part for part in (self.selector, matchers) if part)
        return f"{series}{{{said}}}" if said else series


def _families(config: Config) -> Iterator[tuple[str, Series]]:
    for name, family in catalogue.FAMILIES.items():
        if is_on(family, config) and _is_counted(family, config):
            shape = shape_of(family, config)
            yield name, Series(shape.full_name, shape.label_names)
    for business in declared(config):
        if business.name not in catalogue.FAMILIES:
            yield business.name, Series(business.name, tuple(business.labels))
    of_processes = OF_PROCESSES if config.include_process_metrics else {}
    for name, labels in {**of_processes, **OF_PROMETHEUS}.items():
        yield name, Series(name, labels)


def _is_counted(family: Family, config: Config) -> bool:
    """Tell whether a family has samples, if it is one that a refresh of business counts sets."""
    if family.fed_by != catalogue.BUSINESS:
        return True
    wanted = config.business_metrics
    return bool(wanted) if family.is_own_health else family.name in wanted
