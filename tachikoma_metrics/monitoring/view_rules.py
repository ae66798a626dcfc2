"""Recording rules that give a Prometheus the metrics of a view, in place of ``VIEWS``.

They are generated from the declarations that the view itself is derived from. The labels of the
target are kept: a sum over instances would hide that one of them has restarted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.cache import caches
from django.db import connections

from tachikoma_metrics import catalogue, conf
from tachikoma_metrics.catalogue.definitions import Histogram
from tachikoma_metrics.catalogue.views import (
    CACHE_BACKEND,
    VIEWS,
    DerivedLabel,
    DerivedMetric,
)
from tachikoma_metrics.conf import Config
from tachikoma_metrics.exposition import number
from tachikoma_metrics.monitoring.metric_names import MetricNames, NotMeasured, Series, quoted
from tachikoma_metrics.registry.shapes import shape_of

_SOURCE = "view_source"
"""A label that tells the sources of a sum apart, and is not in the result."""


def view_rule_file(
    config: Config, views: Iterable[str], *, job: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """Return the rules for ``views``, and the reason for each metric that is left out.

    ``job`` restricts them to one job of Prometheus.
    """
    wanted = list(dict.fromkeys(views))
    rules = _ViewRules(MetricNames(config, {"job": f"={quoted(job)}"} if job else {}), wanted)
    groups = {name: list(rules.of_view(name)) for name in wanted}
    return {
        "groups": [
            {"name": f"tachikoma_metrics_view_{name.replace('-', '_')}", "rules": group}
            for name, group in groups.items()
            if group
        ]
    }, rules.left_out


class _ViewRules:
    """Write the rules of views in PromQL, and collect the reasons for what is left out."""

    def __init__(self, names: MetricNames, views: Iterable[str]) -> None:
        self.left_out: list[str] = []
        self._names = names
        self._config = names.config
        self._needed = conf.labels_needed_by(self._derived(views))

    def _derived(self, views: Iterable[str]) -> tuple[DerivedMetric, ...]:
        return conf.derived_metrics(views, self._config.project_labels)

    def of_view(self, name: str) -> Iterator[dict[str, str]]:
        """Yield the rules of one view."""
        for metric in self._derived([name]):
            try:
                yield from self._of_metric(metric)
            except NotMeasured as reason:
                self.left_out.append(f"{metric.name}: {reason}.")
        self.left_out += [f"{name}: {reason}" for name, reason in VIEWS[name].missing.items()]

    def _of_metric(self, metric: DerivedMetric) -> list[dict[str, str]]:
        if not metric.sources:
            return [_rule(metric.name, self._constant())]
        if metric.type != Histogram.type:
            return [_rule(metric.name, self._sum(metric))]
        summed = [
            _rule(f"{metric.name}{suffix}", self._sum(metric, suffix))
            for suffix in ("_sum", "_count")
        ]
        buckets = self._sum(metric, "_bucket", self._bounds(metric))
        return [_rule(f"{metric.name}_bucket", buckets), *summed]

    def _constant(self) -> str:
        info = self._series(catalogue.INFO.name)
        # It has a value for each target, as a metric of the view has.
        return f"0 * sum without ({', '.join(info.labels)}) ({self._selector(info)})"

    def _sum(self, metric: DerivedMetric, suffix: str = "", matcher: str = "") -> str:
        sources = [name for name in metric.sources if name in self._names.families]
        if not sources:
            raise NotMeasured(_reason(metric.sources[0]))
        terms = [self._term(metric, name, suffix, matcher) for name in sources]
        dropped = self._dropped(metric, sources)
        if len(terms) > 1:
            terms = [_replaced(one, _SOURCE, str(place)) for place, one in enumerate(terms)]
            dropped.append(_SOURCE)
        summed = "\n  or ".join(terms)
        expression = f"sum without ({', '.join(dropped)}) (\n  {summed}\n)"
        return f"{expression}\n{self._restriction()}".rstrip()

    def _term(self, metric: DerivedMetric, source: str, suffix: str, matcher: str) -> str:
        series = self._series(source)
        for label in metric.needed_labels:
            if label not in series.labels:
                raise NotMeasured(self._hint(source, label))
        matchers = [_unequal(name, values) for name, values in metric.skipped.items()]
        text = self._selector(series, suffix, *matchers, *filter(None, [matcher]))
        for one in metric.labels:
            for value, values in _replacements(one):
                text = _replaced(text, one.name, value, one.source_name, values)
        return text

    def _dropped(self, metric: DerivedMetric, sources: Iterable[str]) -> list[str]:
        """Return the labels of the sources that the metric does not have."""
        labels = (label for name in sources for label in self._series(name).labels)
        return list(dict.fromkeys(label for label in labels if label not in metric.label_names))

    def _bounds(self, metric: DerivedMetric) -> str:
        """Return the matcher for the bounds of the view, if the source has others, too.

        Those that the source does not have are left out.
        """
        (source,) = metric.sources
        family = catalogue.FAMILIES[source]
        there = {float(bound) for bound in shape_of(family, self._config).buckets}
        wanted = set(map(float, metric.buckets))
        if missing := sorted(wanted - there):
            bounds = ", ".join(map(number, missing))
            self.left_out.append(
                f"{metric.name}_bucket: the bounds {bounds}: `{source}` does not have them; "
                "BUCKETS can add them."
            )
        if there <= wanted:
            return ""
        both = [*map(number, sorted(wanted & there)), "+Inf"]
        return f"le=~{_alternatives(both)}"

    def _hint(self, source: str, label: str) -> str:
        labels = dict.fromkeys((*self._series(source).labels, *self._needed[source]))
        wanted = ", ".join(f'"{name}"' for name in labels)
        return f'`{source}` has no label `{label}`: LABELS needs "{source}": [{wanted}]'

    def _series(self, name: str) -> Series:
        if name not in self._names.families:
            raise NotMeasured(_reason(name))
        return self._names.families[name]

    def _selector(self, series: Series, suffix: str = "", *matchers: str) -> str:
        wanted = [f"{label}{matcher}" for label, matcher in self._names.matchers.items()]
        joined = ",".join([*wanted, *matchers])
        return f"{series.name}{suffix}{{{joined}}}" if joined else f"{series.name}{suffix}"

    def _restriction(self) -> str:
        """Restrict a sum to the jobs that tachikoma_metrics instruments, as others may have it."""
        if catalogue.INFO.name not in self._names.families:
            return ""
        return f"and on (job) {self._selector(self._series(catalogue.INFO.name))}"


def _rule(name: str, expression: str) -> dict[str, str]:
    return {"record": name, "expr": expression}


def _reason(name: str) -> str:
    family = catalogue.FAMILIES[name]
    hint = f': EXTRA_METRICS needs "{name}"' if family.opt_in else ""
    return f"`{name}` is not measured{hint}"


def _replacements(label: DerivedLabel) -> Iterator[tuple[str, str]]:
    """Yield how a label is replaced: its value, and an expression for those of its source."""
    if label.name != label.source_name:
        yield "$1", f"({label.only or '.*'})"
    others: dict[str, list[str]] = {}
    for given in (*label.renamed, *_aliases(label)):
        value = label.value(given, conf.look_up)
        if value != given:
            others.setdefault(value, []).append(given)
    for value, given_values in others.items():
        yield value.replace("$", "$$"), "|".join(map(re.escape, given_values))


def _aliases(label: DerivedLabel) -> list[str]:
    if not label.looked_up:
        return []
    known = caches if label.looked_up == CACHE_BACKEND else connections
    return list(known.settings)


def _replaced(text: str, name: str, value: str, source: str = "", values: str = "") -> str:
    """Return an expression in which a label has ``value`` where its source matches."""
    return (
        f"label_replace({text}, {quoted(name)}, {quoted(value)}, {quoted(source)}, "
        f"{quoted(values)})"
    )


def _unequal(label: str, values: Iterable[str]) -> str:
    return f"{label}!~{_alternatives(sorted(values))}"


def _alternatives(values: Iterable[str]) -> str:
    return quoted("|".join(map(re.escape, values)))
