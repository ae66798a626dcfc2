"""The names that settings give families and labels, as a dialect of PromQL.

Panels and rules are written in PromQL with the names of the catalogue, as one reads them in the
reference. ``Dialect`` says them in the names of a service: with its namespace, without the
labels that it dropped, and restricted to what a selector asks for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Family
from tachikoma_metrics.conf import Config
from tachikoma_metrics.registry.metrics import is_on, shape_of

SERVICE = "<service>"
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


def quoted(text: str) -> str:
    """Return a text as a string of PromQL.

    https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals
    """
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class Dialect:
    """Say expressions in the names of a service whose settings are ``config``.

    ``matchers`` are added to every series, by label: ``{"job": '="shop"'}``. Those of labels
    that the page gives are left out where Prometheus itself tells of a target.
    """

    config: Config
    matchers: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def families(self) -> Mapping[str, Series]:
        """Return what can be asked for, by its name in the catalogue."""
        return dict(_families(self.config))

    @cached_property
    def service_labels(self) -> tuple[str, ...]:
        """Return the labels that tell one service from another: ``job`` and the global ones."""
        extra = [name for name, _ in self.config.global_labels if name not in LABELS_OF_TARGETS]
        return ("job", *extra)

    def say(self, expression: str, *, exactly: bool = False) -> str:
        """Return ``expression`` in the service's names; raise ``NotMeasured`` if it cannot be.

        Labels that the settings dropped are not grouped by; ``exactly`` raises then, too.
        """
        named = self.named(expression)
        for name in sorted(named - set(self.families)):
            raise NotMeasured(f"`{name}` is not measured")
        return self._tokens.sub(lambda match: self._token(match, named, exactly), expression)

    def legend(self, text: str, expression: str) -> str:
        """Return a legend without the labels that the series of ``expression`` do not have."""
        named = self.named(expression)

        def placeholder(match: re.Match[str]) -> str:
            label = self._kept(match[1], named)
            return f"{{{{{label}}}}}" if label else ""

        return " ".join(_IN_LEGEND.sub(placeholder, text).split())

    def recorded(self, name: str) -> str:
        """Return the name of a recording rule, with the namespace: rules of two do not meet."""
        level, _, rest = name.partition(":")
        namespace = f"{self.config.namespace}_" if self.config.namespace else ""
        return f"{level}:{namespace}{rest}"

    @cached_property
    def _tokens(self) -> re.Pattern[str]:
        # The longest first: one name may begin another.
        names = sorted({*catalogue.FAMILIES, *OF_PROCESSES, *OF_PROMETHEUS}, key=len, reverse=True)
        return re.compile(
            r"\b(?P<how>by|on) \((?P<labels>[^)]*)\)"
            rf"|(?P<recorded>{_RECORDED.pattern})"
            r'|\{__name__=(?P<counted>"(?:[^"\\]|\\.)*")\}'
            rf"|(?<![\w:$])(?P<name>{'|'.join(names)})(?P<suffix>_bucket|_sum|_count)?"
            r"(?P<matchers>\{[^}]*\})?(?![\w:])"
        )

    def _token(self, match: re.Match[str], named: set[str], exactly: bool) -> str:
        if match["how"]:
            return f"{match['how']} ({', '.join(self._listed(match['labels'], named, exactly))})"
        if match["recorded"]:
            return self._restricted(self.recorded(match["recorded"]))
        if match["counted"]:
            return self._restricted("", f"__name__={match['counted']}")
        return self._select(match)

    def named(self, expression: str) -> set[str]:
        """Return the families that an expression names."""
        found = (match["name"] for match in self._tokens.finditer(expression))
        return {name for name in found if name}

    def _listed(self, labels: str, named: set[str], exactly: bool) -> Iterator[str]:
        for label in filter(None, map(str.strip, labels.split(","))):
            if label == SERVICE:
                yield from self.service_labels
                continue
            kept = self._kept(label, named)
            if exactly and kept != label:
                raise NotMeasured(f"the label `{label}` is not there")
            if kept is not None:
                yield kept

    def _kept(self, label: str, named: set[str]) -> str | None:
        """Return the label, or what stands in for it, if the families that should have it do."""
        if label in LABELS_OF_TARGETS or not named:
            return label
        owners = {name for name in named if label in _usual_labels(name)} or named
        return next(
            (
                known
                for known in (label, _INSTEAD_OF.get(label))
                if all(known in self.families[name].labels for name in owners)
            ),
            None,
        )

    def _select(self, match: re.Match[str]) -> str:
        name, labels = self.families[match["name"]]
        matchers = (match["matchers"] or "")[1:-1]
        for label in _MATCHED_LABEL.findall(matchers):
            if label not in labels and label not in LABELS_OF_TARGETS:
                raise NotMeasured(f"`{match['name']}` has no label `{label}`")
        is_of_target = match["name"] in OF_PROMETHEUS
        return self._restricted(f"{name}{match['suffix'] or ''}", matchers, is_of_target)

    def _restricted(self, series: str, matchers: str = "", is_of_target: bool = False) -> str:
        wanted = [
            f"{label}{matcher}"
            for label, matcher in self.matchers.items()
            if label in LABELS_OF_TARGETS or not is_of_target
        ]
        said = ",".join([*wanted, matchers] if matchers else wanted)
        return f"{series}{{{said}}}" if said else series


def _usual_labels(name: str) -> tuple[str, ...]:
    family = catalogue.FAMILIES.get(name)
    return family.label_names if family else OF_PROCESSES.get(name, ())


def _families(config: Config) -> Iterator[tuple[str, Series]]:
    for name, family in catalogue.FAMILIES.items():
        if is_on(family, config) and _is_counted(family, config):
            shape = shape_of(family, config)
            yield name, Series(shape.full_name, shape.label_names)
    of_processes = OF_PROCESSES if config.include_process_metrics else {}
    for name, labels in {**of_processes, **OF_PROMETHEUS}.items():
        yield name, Series(name, labels)


def _is_counted(family: Family, config: Config) -> bool:
    """Tell whether a family has samples, if it is one that a refresh of business counts sets."""
    if family.recorded_by != catalogue.BUSINESS:
        return True
    if family.is_own_health:
        return config.has_business_metrics
    return family.name in config.business_metrics
