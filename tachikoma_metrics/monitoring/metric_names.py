"""The names of metrics and labels under the settings of a service.

Panels and rules are written in PromQL with the names of the catalogue, as in the reference.
``MetricNames`` translates them to the names of a service: with its namespace, without the
labels that its settings drop, and with more label matchers.
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
from tachikoma_metrics.monitoring.native_queries import NativeQueries
from tachikoma_metrics.registry.shapes import is_on, shape_of

SERVICE = "<service>"
"""A placeholder in lists of labels, for all labels that identify a service."""

TARGET_LABELS = frozenset({"job", "instance", "le"})
"""Labels that the catalogue does not declare: Prometheus adds the first two to all targets.

https://prometheus.io/docs/concepts/jobs_instances/
"""

PROCESS_METRICS: Mapping[str, tuple[str, ...]] = {
    "process_cpu_seconds_total": (),
    "process_max_fds": (),
    "process_open_fds": (),
    "process_resident_memory_bytes": (),
    "process_start_time_seconds": (),
    "python_gc_collections_total": ("generation",),
}
"""Metrics of prometheus_client's collectors that panels show, and their labels.

https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
"""

PROMETHEUS_METRICS: Mapping[str, tuple[str, ...]] = {"up": ()}
"""Metrics that Prometheus itself adds for each target.

https://prometheus.io/docs/concepts/jobs_instances/#automatically-generated-labels-and-time-series
"""

_ALTERNATIVES = {"path": "view"}
_RECORDED = re.compile(r"\bjob\w*:\w+:\w+")
_MATCHED_LABEL = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"')
_IN_LEGEND = re.compile(r"\{\{(\w+)\}\}")


class NotMeasured(Exception):
    """Raised for an expression about a metric or a label that the settings leave out."""


class Series(NamedTuple):
    """The name of a metric's series, and their labels."""

    name: str
    labels: tuple[str, ...]


def recorded_names(expression: str) -> list[str]:
    """Return the names of the recording rules that an expression uses."""
    return _RECORDED.findall(expression)


def quoted(text: str) -> str:
    """Return a string literal of PromQL.

    https://prometheus.io/docs/prometheus/latest/querying/basics/#string-literals
    """
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True)
class MetricNames:
    """Translate expressions to the names of a service whose settings are ``config``.

    ``matchers`` are added to every series, by label: ``{"job": '="shop"'}``. The metrics that
    Prometheus itself adds get those of target labels only, and recorded series, which are sums
    over all instances, none of the instance. ``route_matchers`` are added to HTTP metrics that
    have the label. Expressions about the histograms of ``native`` are rewritten for native ones.
    """

    config: Config
    matchers: Mapping[str, str] = field(default_factory=dict)
    native: frozenset[str] = frozenset()
    route_matchers: Mapping[str, str] = field(default_factory=dict)

    def has_exemplars(self, expression: str) -> bool:
        """Return whether the settings give exemplars to a histogram that an expression reads."""
        names = (one.name for one in catalogue.FAMILIES.values() if one.has_exemplars)
        return self.config.exemplars is not None and any(
            f"{name}_bucket" in expression for name in names
        )

    def is_native(self, expression: str) -> bool:
        """Return whether an expression reads histograms that are native."""
        return self._native_queries.applies_to(expression)

    @cached_property
    def _native_queries(self) -> NativeQueries:
        return NativeQueries(self.native)

    @cached_property
    def families(self) -> Mapping[str, Series]:
        """Return the series of each metric that is measured, by its name in the catalogue."""
        return dict(_families(self.config))

    @cached_property
    def service_labels(self) -> tuple[str, ...]:
        """Return the labels that identify a service: ``job`` and the global ones."""
        extra = [name for name, _ in self.config.global_labels if name not in TARGET_LABELS]
        return ("job", *extra)

    def translate(self, expression: str, *, exactly: bool = False) -> str:
        """Return ``expression`` with the service's names; raise ``NotMeasured`` if impossible.

        Labels that the settings drop are removed from groupings; ``exactly`` raises instead.
        """
        named = self.named(expression)
        for name in sorted(named - set(self.families)):
            raise NotMeasured(f"`{name}` is not measured")
        written = self._native_queries.rewritten(expression)
        return self._tokens.sub(lambda match: self._token(match, named, exactly), written)

    def legend(self, text: str, expression: str) -> str:
        """Return a legend without the labels that the series of ``expression`` lack."""
        named = self.named(expression)

        def placeholder(match: re.Match[str]) -> str:
            label = self._available(match[1], named)
            if label == "le" and self.is_native(expression):
                return ""
            return f"{{{{{label}}}}}" if label else ""

        return " ".join(_IN_LEGEND.sub(placeholder, text).split())

    def recorded(self, name: str) -> str:
        """Return the name of a recording rule, with the namespace, so that two do not collide."""
        level, _, rest = self._native_queries.rewritten(name).partition(":")
        namespace = f"{self.config.namespace}_" if self.config.namespace else ""
        return f"{level}:{namespace}{rest}"

    @cached_property
    def _tokens(self) -> re.Pattern[str]:
        # The longest first, since a name may be the prefix of another.
        known = {*catalogue.FAMILIES, *PROCESS_METRICS, *PROMETHEUS_METRICS}
        names = sorted(known, key=len, reverse=True)
        return re.compile(
            r"\b(?P<modifier>by|on) \((?P<labels>[^)]*)\)"
            rf"|(?P<recorded>{_RECORDED.pattern})"
            r'|\{__name__=(?P<business>"(?:[^"\\]|\\.)*")\}'
            rf"|(?<![\w:$])(?P<name>{'|'.join(names)})(?P<suffix>_bucket|_sum|_count)?"
            r"(?P<matchers>\{[^}]*\})?(?![\w:])"
        )

    def _token(self, match: re.Match[str], named: set[str], exactly: bool) -> str:
        if match["modifier"]:
            labels = self._labels(match["labels"], named, exactly)
            return f"{match['modifier']} ({', '.join(labels)})"
        if match["recorded"]:
            return self._series(self.recorded(match["recorded"]), set(self.matchers) - {"instance"})
        if match["business"]:
            return self._series("", set(self.matchers), f"__name__={match['business']}")
        return self._selector(match)

    def named(self, expression: str) -> set[str]:
        """Return the metrics that an expression names."""
        found = (match["name"] for match in self._tokens.finditer(expression))
        return {name for name in found if name}

    def _labels(self, labels: str, named: set[str], exactly: bool) -> Iterator[str]:
        for label in filter(None, map(str.strip, labels.split(","))):
            if label == SERVICE:
                yield from self.service_labels
                continue
            available = self._available(label, named)
            if exactly and available != label:
                raise NotMeasured(f"the label `{label}` is not available")
            if available is not None:
                yield available

    def _available(self, label: str, named: set[str]) -> str | None:
        """Return the label, or its alternative, if all metrics that usually have it do."""
        if label in TARGET_LABELS or not named:
            return label
        owners = {name for name in named if label in _usual_labels(name)} or named
        return next(
            (
                known
                for known in (label, _ALTERNATIVES.get(label))
                if all(known in self.families[name].labels for name in owners)
            ),
            None,
        )

    def _selector(self, match: re.Match[str]) -> str:
        name, labels = self.families[match["name"]]
        matchers = (match["matchers"] or "")[1:-1]
        for label in _MATCHED_LABEL.findall(matchers):
            if label not in labels and label not in TARGET_LABELS:
                raise NotMeasured(f"`{match['name']}` has no label `{label}`")
        chosen = set(self.matchers)
        if match["name"] in PROMETHEUS_METRICS:
            chosen &= TARGET_LABELS
        if match["name"].startswith("http_"):
            chosen |= set(labels).intersection(self.route_matchers)
        return self._series(f"{name}{match['suffix'] or ''}", chosen, matchers)

    def _series(self, name: str, chosen: set[str], matchers: str = "") -> str:
        """Return a selector with the matchers of the ``chosen`` labels, and with others."""
        known = {**self.matchers, **self.route_matchers}
        wanted = [f"{label}{matcher}" for label, matcher in known.items() if label in chosen]
        joined = ",".join([*wanted, matchers] if matchers else wanted)
        return f"{name}{{{joined}}}" if joined else name


def _usual_labels(name: str) -> tuple[str, ...]:
    family = catalogue.FAMILIES.get(name)
    return family.label_names if family else PROCESS_METRICS.get(name, ())


def _families(config: Config) -> Iterator[tuple[str, Series]]:
    for name, family in catalogue.FAMILIES.items():
        if is_on(family, config) and _has_samples(family, config):
            shape = shape_of(family, config)
            yield name, Series(shape.full_name, shape.label_names)
    process_metrics = PROCESS_METRICS if config.include_process_metrics else {}
    for name, labels in {**process_metrics, **PROMETHEUS_METRICS}.items():
        yield name, Series(name, labels)


def _has_samples(family: Family, config: Config) -> bool:
    """Return whether a metric has samples, if it is a business metric or about their refresh."""
    if family.recorded_by != catalogue.BUSINESS:
        return True
    if family.is_own_health:
        return config.has_business_metrics
    return family.name in config.business_metrics
