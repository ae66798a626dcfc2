"""Collect the families of a registry, each collector behind its own guard.

``CollectorRegistry.collect`` is one generator over all collectors: the first
that raises ends it, and with it the page. Here a collector that raises costs
what it had still to yield, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum

from prometheus_client import Metric
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

from tachikoma_metrics.exposition.families import Families, OnError, PlainMetric
from tachikoma_metrics.exposition.names import HISTOGRAMS
from tachikoma_metrics.store import Incomplete


class Rank(IntEnum):
    """Say when a collector is asked, and whether its families may come in pieces.

    What a collector records while it is asked belongs on the page: so those of metrics
    whose values are shared come after all others. Families of the catalogue are left out
    where another collector has one of their names. Those of the app's own health are asked
    when all others are written, for they count the faults of that.
    """

    ELSEWHERE = 0
    SHARED = 1
    CATALOGUED = 2
    OWN_HEALTH = 3


def gather(
    registry: CollectorRegistry,
    on_error: OnError,
    *,
    names: frozenset[str] = frozenset(),
    is_wanted: Callable[[Collector], bool] = lambda collector: True,
    rank: Callable[[Collector], Rank] = lambda collector: Rank.ELSEWHERE,
    collect: Callable[[Collector], Iterable[Metric]] = lambda collector: collector.collect(),
    rest: Callable[[], Iterable[Metric]] = tuple,
) -> Iterator[Metric]:
    """Yield the families of ``registry`` by rank, then in the order of registration.

    ``names`` keeps the families and the samples so named; empty keeps all. A
    collector that is not wanted, or that says it has none of the names, is not
    asked. Families of one name and type are one; one that has a name of another is left
    out as a fault. ``collect`` asks a collector; ``rest`` returns the families that no
    collector has, and is called when all but those of the app's own health were asked.
    Whatever they raise costs what they had still to yield, but ``Incomplete``, which is raised.
    """
    families = Families(on_error)

    def take(collector: Collector) -> None:
        try:
            for metric in collect(collector):
                _take(families, metric, rank(collector), collector, on_error)
        except Incomplete:
            raise
        except Exception as error:
            on_error("collector", error, collector)

    target = registry.get_target_info()
    if target:
        families.take(_target_info(target))
    first, last = _by_turn(_asked(registry, names, is_wanted), rank)
    for collector in first:
        take(collector)
    try:
        for metric in rest():
            _take(families, metric, Rank.SHARED, metric, on_error)
    except Incomplete:
        raise
    except Exception as error:
        on_error("collector", error, "the rest")
    yield from _restricted(families.give(), names, on_error)
    for collector in last:
        take(collector)
    yield from _restricted(families.give(), names, on_error)


def _take(
    families: Families, metric: Metric, rank: Rank, collector: object, on_error: OnError
) -> None:
    try:
        families.take(metric, is_alone=rank >= Rank.CATALOGUED)
    except ValueError as error:
        on_error("render", error, collector)
    except Exception as error:
        on_error("collector", error, collector)


def _asked(
    registry: CollectorRegistry, names: frozenset[str], is_wanted: Callable[[Collector], bool]
) -> list[Collector]:
    # The registry offers no way to its collectors but collect(), which is one
    # generator for all; restricted_registry() reads the same two attributes.
    with registry._lock:
        known = list(registry._collector_to_names.items())
    return [
        collector
        for collector, known_names in known
        if is_wanted(collector) and not _has_none_of(known_names, names)
    ]


def _by_turn(
    collectors: list[Collector], rank: Callable[[Collector], Rank]
) -> tuple[list[Collector], list[Collector]]:
    ordered = sorted(collectors, key=rank)
    first = [collector for collector in ordered if rank(collector) < Rank.OWN_HEALTH]
    return first, ordered[len(first) :]


def _has_none_of(known_names: list[str], names: frozenset[str]) -> bool:
    return bool(names and known_names) and names.isdisjoint(known_names)


def _restricted(
    families: Iterable[Metric], names: frozenset[str], on_error: OnError
) -> Iterator[Metric]:
    for metric in families:
        if not names or metric.name in names:
            yield metric
            continue
        try:
            samples = [sample for sample in metric.samples if _is_named(sample, names)]
        except Exception as error:
            on_error("render", error, metric.name)
            continue
        if samples:
            yield from _with_samples(metric, samples)


def _with_samples(metric: Metric, samples: list[Sample]) -> Iterator[Metric]:
    """Yield some samples of a family; the ends of a histogram are none without its buckets."""
    if metric.type not in HISTOGRAMS or any(one.name.endswith("_bucket") for one in samples):
        head = (metric.name, metric.documentation, metric.type, metric.unit)
        yield PlainMetric(*head, samples)
        return
    ends: dict[str, list[Sample]] = {}
    for sample in samples:
        ends.setdefault(sample.name, []).append(sample)
    for name, own in ends.items():
        yield PlainMetric(name, metric.documentation, "unknown", "", own)


def _is_named(sample: object, names: frozenset[str]) -> bool:
    name = getattr(sample, "name", None)
    return isinstance(name, str) and name in names


def _target_info(labels: dict[str, str]) -> Metric:
    # https://prometheus.io/docs/specs/om/open_metrics_spec/#supporting-target-metadata-in-both-push-based-and-pull-based-systems
    metric = Metric("target", "Target metadata", "info")
    metric.add_sample("target_info", labels, 1)
    return metric
