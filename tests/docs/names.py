"""Whether the families and labels that a page names are there."""

from __future__ import annotations

import promql_parser

from tachikoma_metrics import catalogue
from tachikoma_metrics.catalogue.definitions import Family, Histogram
from tachikoma_metrics.monitoring import recording_rules
from tachikoma_metrics.registry.runtime import GC_FAMILIES

Labels = frozenset[str]

TARGET_LABELS = frozenset({"instance", "job"})
"""What Prometheus adds to every sample, by the target it is from."""

PAGE_LABELS = frozenset({"region", "service", "slot"})
"""Those that the guides have ``GLOBAL_LABELS`` add, or Kubernetes and Prometheus' configuration."""

OF_PROCESSES: dict[str, Labels] = {
    **{f"{family.name}_total": frozenset({"generation"}) for family in GC_FAMILIES.values()},
    "process_cpu_seconds_total": frozenset(),
    "process_max_fds": frozenset(),
    "process_open_fds": frozenset(),
    "process_resident_memory_bytes": frozenset(),
    "process_start_time_seconds": frozenset(),
    "process_virtual_memory_bytes": frozenset(),
    "python_info": frozenset({"implementation", "major", "minor", "patchlevel", "version"}),
}
"""What the page has of Python and of the processes (``INCLUDE_PROCESS_METRICS``)."""

OF_PROMETHEUS: dict[str, Labels] = {
    "scrape_duration_seconds": frozenset(),
    "up": frozenset(),
}
"""What Prometheus says of each target by itself."""

OF_DJANGO_PROMETHEUS: dict[str, Labels] = {
    f"django_model_{what}_total": frozenset({"model"}) for what in ("deletes", "inserts", "updates")
}
"""What django-prometheus counts of models, on our page, too."""

OF_RULES: dict[str, Labels] = {
    rule.name: frozenset(rule.name.partition(":")[0].split("_"))
    for rule in (
        *recording_rules.availability_rules(),
        *recording_rules.route_rules(),
        *recording_rules.task_rules(),
    )
}
"""What the rules of ``metrics_rules`` record, and its labels, which are in front of the name."""

OF_READERS: dict[str, Labels] = {
    "open_tickets": frozenset({"team"}),
    "shop_baskets_open": frozenset(),
    "shop_checkout_seconds_bucket": frozenset({"le"}),
    "shop_checkout_seconds_count": frozenset(),
    "shop_checkout_seconds_sum": frozenset(),
    "shop_orders_total": frozenset({"plan"}),
    "shop_queue_depth": frozenset({"queue"}),
    "tokens_left": frozenset(),
}
"""The families that the guides have their readers make."""


def _samples_of(family: Family) -> dict[str, Labels]:
    labels = frozenset(family.allowed_label_names)
    if not isinstance(family, Histogram):
        return {family.name: labels}
    return {
        f"{family.name}_bucket": labels | {"le"},
        f"{family.name}_count": labels,
        f"{family.name}_sum": labels,
    }


OURS: dict[str, Labels] = {
    name: labels
    for family in catalogue.FAMILIES.values()
    for name, labels in _samples_of(family).items()
}
"""Every sample name of the catalogue, and its labels."""

KNOWN: dict[str, Labels] = {
    **OF_PROCESSES,
    **OF_PROMETHEUS,
    **OF_DJANGO_PROMETHEUS,
    **OF_READERS,
    **OF_RULES,
    **OURS,
}


def faults_of_query(query: str, known: dict[str, Labels] = KNOWN) -> list[str]:
    """Return what is wrong with an expression; raise ``ValueError`` if it is none."""
    reader = _Reader(known)
    promql_parser.walk(promql_parser.parse(query), reader.visit)
    return reader.faults()


class _Reader:
    """Take note of the metrics an expression asks for, and of the labels it names."""

    def __init__(self, known: dict[str, Labels]) -> None:
        self._known = known
        self._faults: list[str] = []
        self._there: set[str] = set()
        self._named: set[str] = set()

    def visit(self, node: promql_parser.Expr) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            self._select(node)
        elif isinstance(node, promql_parser.AggregateExpr) and node.modifier is not None:
            self._named.update(node.modifier.labels)
        elif isinstance(node, promql_parser.BinaryExpr) and node.modifier is not None:
            if node.modifier.matching is not None:
                self._named.update(node.modifier.matching.labels)
            self._named.update(node.modifier.group_labels or ())
        return True

    def _select(self, node: promql_parser.VectorSelector) -> None:
        name = node.name or ""
        if not name:
            # All of a target's series.
            self._there |= {"__name__"} | TARGET_LABELS
            return
        if name not in self._known:
            self._faults.append(f"{name} is no metric")
            return
        labels = self._known[name] | TARGET_LABELS | PAGE_LABELS
        matched = {matcher.name for matcher in node.matchers.matchers}
        self._faults += [f"{name} has no label {label}" for label in sorted(matched - labels)]
        self._there |= labels

    def faults(self) -> list[str]:
        strange = sorted(self._named - self._there)
        return self._faults + [f"nothing in it has a label {label}" for label in strange]
