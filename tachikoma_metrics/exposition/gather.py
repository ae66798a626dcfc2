"""Collect the families of a registry, each collector behind its own guard.

``CollectorRegistry.collect`` is one generator over all collectors: the first
that raises ends it, and with it the page. Here a collector that raises costs
what it had still to yield, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from prometheus_client import Metric
from prometheus_client.registry import Collector, CollectorRegistry

from tachikoma_metrics.exposition.names import names_of

OnFault = Callable[[str, Exception, object], None]
"""Told the source of a fault, the exception, and what raised it."""


def gather(
    registry: CollectorRegistry,
    on_fault: OnFault,
    *,
    names: frozenset[str] = frozenset(),
    is_wanted: Callable[[Collector], bool] = lambda collector: True,
    rank: Callable[[Collector], int] = lambda collector: 0,
    collect: Callable[[Collector], Iterable[Metric]] = lambda collector: collector.collect(),
    rest: Callable[[], Iterable[Metric]] = tuple,
) -> Iterator[Metric]:
    """Yield the families of ``registry`` by rank, then in the order of registration.

    ``names`` keeps the families and the samples so named; empty keeps all. A
    collector that is not wanted, or that says it has none of the names, is not
    asked. A family that has a name of one before it is left out as a fault: no
    format allows a family twice. ``collect`` asks a collector; ``rest`` returns the
    families that no collector has, and is called when all have been asked.
    """
    target = registry.get_target_info()
    if target:
        yield _target_info(target)
    taken: set[str] = set()
    for collector, known_names in sorted(_collectors(registry), key=lambda pair: rank(pair[0])):
        if not is_wanted(collector) or _has_none_of(known_names, names):
            continue
        try:
            for metric in collect(collector):
                if _takes_names(metric, taken, on_fault):
                    yield from _restricted(metric, names)
        except Exception as error:
            on_fault("collector", error, collector)
    for metric in rest():
        if _takes_names(metric, taken, on_fault):
            yield from _restricted(metric, names)


def _takes_names(metric: Metric, taken: set[str], on_fault: OnFault) -> bool:
    own_names = names_of(metric)
    clashing = taken & own_names
    if clashing:
        on_fault("duplicate", ValueError(f"{min(clashing)} is collected twice."), metric.name)
        return False
    taken |= own_names
    return True


def _collectors(registry: CollectorRegistry) -> Iterable[tuple[Collector, list[str]]]:
    # The registry offers no way to its collectors but collect(), which is one
    # generator for all; restricted_registry() reads the same two attributes.
    with registry._lock:
        return list(registry._collector_to_names.items())


def _has_none_of(known_names: list[str], names: frozenset[str]) -> bool:
    return bool(names and known_names) and names.isdisjoint(known_names)


def _restricted(metric: Metric, names: frozenset[str]) -> Iterator[Metric]:
    if not names or metric.name in names:
        yield metric
        return
    samples = [sample for sample in metric.samples if sample.name in names]
    if samples:
        kept = Metric(metric.name, metric.documentation, metric.type, metric.unit)
        kept.samples = samples
        yield kept


def _target_info(labels: dict[str, str]) -> Metric:
    # https://prometheus.io/docs/specs/om/open_metrics_spec/#supporting-target-metadata-in-both-push-based-and-pull-based-systems
    metric = Metric("target", "Target metadata", "info")
    metric.add_sample("target_info", labels, 1)
    return metric
